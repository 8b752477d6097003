// The pictures on the page: each with its preview, its answers, and heat over it; and all of them as a table.

import { covered, heatCanvas } from "./heat.js";
import { percent, say, sayAll } from "./words.js";

const LABELS = 5;
const TINY = 100; // pixels a side, below which a picture is shown larger, pixel by pixel

// One picture of the page. `change` is called whenever something of it changes.
export class Item {
  constructor(file, name, change) {
    this.file = file;
    this.name = name;
    this.change = change;
    this.answer = null; // {predictions, heat}
    this.error = null;
    this.element = element("article", "item");
    this.frame = element("div", "frame", this.element);
    this.picture = element("div", "picture", this.frame);
    this.body = element("div", "body", this.element);
    this.image = new Image();
    this.image.alt = name;
    this.image.onload = () => {
      this.image.classList.toggle("tiny", this.image.naturalWidth < TINY && this.image.naturalHeight < TINY);
      this.drawHeat();
    };
    this.image.onerror = () => {
      this.image.remove();
      this.picture.classList.add("none");
      this.picture.textContent = say("notShown");
    };
    this.address = URL.createObjectURL(file);
    this.image.src = this.address;
    this.picture.append(this.image);
    this.draw();
  }

  // Forget the picture's bytes.
  close() {
    URL.revokeObjectURL(this.address);
    this.element.remove();
  }

  answered(answer, model) {
    this.answer = answer;
    this.model = model;
    this.draw();
    this.drawHeat();
    this.change();
  }

  failed(words) {
    const named = `${this.file.name}: `; // it stands above
    this.error = words.startsWith(named) ? words.slice(named.length) : words;
    this.draw();
    this.change();
  }

  get first() {
    return this.answer?.predictions[0] ?? null;
  }

  draw() {
    this.body.replaceChildren();
    const head = element("div", "name", this.body);
    element("span", "", head, this.name).title = this.name;
    this.remove = element("button", "quiet", head, "×");
    this.remove.type = "button";
    this.remove.dataset.sayLabel = "remove";
    this.remove.onclick = () => this.change(this);
    sayAll(head);
    this.element.classList.toggle("bad", this.error !== null);
    this.element.setAttribute("aria-busy", String(!this.error && !this.answer));
    if (this.error !== null) {
      element("p", "error", this.body, this.error);
    } else if (this.answer === null) {
      element("p", "waiting", this.body, say("waiting"));
    } else {
      this.drawLabels();
    }
  }

  drawLabels() {
    const list = element("ol", "labels", this.body);
    for (const one of this.answer.predictions.slice(0, LABELS)) {
      const unknown = one.index === null;
      const row = element("li", unknown ? "unknown" : "", list);
      element("b", "", row, unknown ? say("unknown") : one.label);
      if (unknown) {
        element("span", "why", row, say("unknownWhy", percent(this.model.threshold ?? 0)));
        continue;
      }
      const bar = element("span", "bar", row);
      bar.setAttribute("aria-hidden", "true");
      element("i", "", bar).style.width = `${(100 * one.probability).toFixed(1)}%`;
      element("span", "number", row, percent(one.probability));
    }
  }

  drawHeat() {
    this.picture.querySelector(".heat")?.remove();
    const heat = this.answer?.heat;
    if (!heat || !this.image.naturalWidth) return;
    const [left, top, width, height] = covered(
      this.image.naturalWidth, this.image.naturalHeight, this.model.preprocess,
    );
    const canvas = heatCanvas(heat);
    canvas.className = "heat";
    canvas.setAttribute("aria-hidden", "true");
    Object.assign(canvas.style, {
      left: `${100 * left}%`, top: `${100 * top}%`, width: `${100 * width}%`, height: `${100 * height}%`,
    });
    this.picture.append(canvas);
  }
}

// Rows of the table, the head first: texts, and lists of (name, what belongs to it).
export function rowsOf(items) {
  const head = ["file", "answer", "probability", "next", "error"].map((name) => say(name));
  const rows = items.map((item) => {
    if (item.error !== null) return [item.name, "", "", "", item.error];
    if (!item.answer) return [item.name, "", "", "", ""];
    const [first, ...rest] = item.answer.predictions;
    const next = rest.slice(0, 2).map((one) => [one.label, percent(one.probability)]);
    return [item.name, first.index === null ? say("unknown") : first.label, percent(first.probability), next, ""];
  });
  return [head, ...rows];
}

// The answers as CSV for any program: plain numbers, English heads, one row a picture.
export function csvOf(items) {
  const rows = [["path", "label", "index", "probability", "error"]];
  for (const item of items) {
    const first = item.first;
    rows.push(first
      ? [item.name, first.label, first.index ?? "", first.probability, ""]
      : [item.name, "", "", "", item.error ?? ""]);
  }
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function cell(value) {
  let text = String(value);
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`; // or a spreadsheet would compute it
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const find = (id) => document.getElementById(id);

// The content of a cell. A name turns nothing but itself: in Arabic it would take the number beside it with it.
export function fill(cell, value) {
  if (typeof value === "string") cell.textContent = value;
  else value.forEach(([name, number], i) => {
    if (i) cell.append(", ");
    element("bdi", "", cell, name);
    cell.append(` ${number}`);
  });
}

export function element(tag, kind, parent, text) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
}
