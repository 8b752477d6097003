// Where pictures come from: chosen, dropped, pasted, or taken with the camera.

import { element, find } from "./pictures.js";
import { say } from "./words.js";

// Call `add(files, name)` with the files of whatever is given, none too; `name` where they have none of their own.
export function listenForPictures(add) {
  for (const input of [find("files"), find("shot")]) {
    input.onchange = () => {
      add([...input.files]);
      input.value = "";
    };
  }
  find("choose").onclick = () => find("files").click();
  const camera = new Camera(add);
  find("camera").onclick = () => camera.open();
  find("take").onclick = () => camera.take();
  find("stop").onclick = () => camera.close();
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) add(files, say("pasted"));
  });
  listenForDrops(add);
}

function listenForDrops(add) {
  let inside = 0; // elements that something dragged is over
  const over = (by) => {
    inside = Math.max(0, inside + by);
    document.body.classList.toggle("over", inside > 0);
  };
  document.addEventListener("dragenter", () => over(1));
  document.addEventListener("dragleave", () => over(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    over(-inside);
    add(await dropped(event.dataTransfer));
  });
}

// The files of what was dropped; of folders the pictures in them, in the order of their names.
async function dropped(data) {
  const files = [...data.files]; // these and the entries are gone once the event is over
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return files;
  try {
    return (await Promise.all(entries.map(filesOf))).flat();
  } catch {
    return files; // a page from a file may not look into folders, which are then told of as what they are
  }
}

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((then, fail) => entry.file(then, fail))];
  const reader = entry.createReader();
  const entries = [];
  for (let some = [null]; some.length;) {
    some = await new Promise((then, fail) => reader.readEntries(then, fail)); // a hundred at once
    entries.push(...some);
  }
  entries.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  const files = (await Promise.all(entries.map(filesOf))).flat();
  return files.filter((file) => file.type.startsWith("image/"));
}

class Camera {
  constructor(add) {
    this.add = add;
    this.stream = null;
    this.taken = 0;
  }

  async open() {
    if (!navigator.mediaDevices && matchMedia("(pointer: coarse)").matches) {
      find("shot").click(); // a phone has a camera of its own for pages that come without https
      return;
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      find("no-camera").hidden = false;
      return;
    }
    find("no-camera").hidden = true;
    find("video").srcObject = this.stream;
    find("viewfinder").hidden = false;
    find("take").focus();
  }

  take() {
    const video = find("video");
    const canvas = element("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    this.taken += 1;
    const name = `${say("picture")} ${this.taken}`;
    canvas.toBlob((blob) => this.add([new File([blob], `camera-${this.taken}.png`, { type: "image/png" })], name));
  }

  close() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    find("viewfinder").hidden = true;
    find("camera").focus();
  }
}
