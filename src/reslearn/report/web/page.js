// The page: what is done with pictures, and what is shown. `start` is given what answers.

import { drawCard } from "./card.js";
import { listenForPictures } from "./intake.js";
import { Item, csvOf, element, fill, find, rowsOf } from "./pictures.js";
import { currentLanguage, say, sayAll, switchLanguage } from "./words.js";

const AT_ONCE = 3;
const TOP = 5;

// `models()` gives what can answer; `answer(model, file, top)` gives {predictions, heat}, or raises an Error in words.
export async function start({ models, answer, ready }) {
  const page = new Page(answer, ready);
  page.tell("loading");
  try {
    page.open(await models());
  } catch (error) {
    page.refuse(error);
  }
}

class Page {
  constructor(answer, ready) {
    this.answer = answer;
    this.ready = ready;
    this.items = [];
    this.waiting = [];
    this.running = 0;
    this.model = null;
    this.problem = null;
    this.words();
    this.listen();
  }

  open(models) {
    this.models = models;
    const choice = find("model");
    choice.replaceChildren(...models.map((one, i) => new Option(one.name, i)));
    find("models").hidden = models.length < 2;
    choice.onchange = () => this.choose(models[choice.value]);
    this.choose(models[0]);
    this.work();
  }

  choose(model) {
    this.model = model;
    this.showCard();
    this.status();
    for (const item of this.items) {
      item.answer = null;
      item.error = null;
      item.draw();
      item.drawHeat();
      if (!this.waiting.includes(item)) this.waiting.push(item);
    }
    this.update();
    this.work();
  }

  refuse(error) {
    this.problem = error.message;
    document.body.classList.add("refused");
    for (const id of ["choose", "camera"]) find(id).disabled = true;
    this.status();
  }

  listen() {
    listenForPictures((files, name) => this.add(files, name));
    find("clear").onclick = () => this.clear();
    find("csv").onclick = () => this.download();
    find("heat").oninput = () => this.heat();
    find("language").onclick = () => {
      switchLanguage();
      this.words();
    };
    this.heat();
  }

  add(files, name) {
    if (this.problem !== null) return;
    if (!files.length) {
      this.tell("nothing");
      return;
    }
    for (const file of files) {
      const item = new Item(file, name ?? file.name ?? say("pasted"), (gone) => this.changed(gone));
      this.items.push(item);
      this.waiting.push(item);
      find("items").append(item.element);
    }
    this.update();
    this.work();
  }

  async work() {
    while (this.model !== null && this.running < AT_ONCE && this.waiting.length) {
      this.running += 1;
      this.one(this.waiting.shift());
    }
  }

  async one(item) {
    const model = this.model;
    try {
      const answer = await this.answer(model, item.file, TOP);
      if (model === this.model) item.answered(answer, model);
    } catch (error) {
      if (model === this.model) item.failed(error.message);
    } finally {
      this.running -= 1;
      this.work();
    }
  }

  changed(gone) {
    if (gone) {
      const place = this.items.indexOf(gone);
      this.items = this.items.filter((item) => item !== gone);
      this.waiting = this.waiting.filter((item) => item !== gone);
      gone.close();
      const next = this.items[Math.min(place, this.items.length - 1)]?.remove ?? find("choose");
      next.focus({ preventScroll: true });
    }
    this.update();
  }

  clear() {
    for (const item of this.items) item.close();
    this.items = [];
    this.waiting = [];
    this.update();
    find("choose").focus();
  }

  update() {
    const some = this.items.length > 0;
    find("answers").hidden = !some;
    document.body.classList.toggle("some", some);
    find("several").hidden = this.items.length < 2;
    find("heats").hidden = !this.items.some((item) => item.answer?.heat);
    this.drawTable();
    this.status();
  }

  drawTable() {
    const table = find("table");
    table.replaceChildren();
    if (this.items.length < 2) return;
    const [head, ...rows] = rowsOf(this.items);
    const errors = this.items.some((item) => item.error !== null);
    const kept = errors ? head.length : head.length - 1;
    const top = element("tr", "", element("thead", "", table));
    for (const name of head.slice(0, kept)) element("th", "", top, name).scope = "col";
    const body = element("tbody", "", table);
    for (const row of rows) {
      const line = element("tr", "", body);
      for (const value of row.slice(0, kept)) fill(element("td", "", line), value);
    }
  }

  tell(name) {
    find("status").textContent = say(name);
  }

  status() {
    const place = find("status");
    place.classList.toggle("problem", this.problem !== null);
    if (this.problem !== null) {
      place.textContent = this.problem;
    } else if (this.model === null) {
      this.tell("loading");
    } else if (!this.items.length) {
      this.tell(this.ready);
    } else {
      const bad = this.items.filter((item) => item.error !== null).length;
      const done = this.items.filter((item) => item.answer !== null).length;
      const words = [say("done", done, this.items.length), ...(bad ? [say("failed", bad)] : [])];
      place.textContent = words.join(", ");
    }
  }

  showCard() {
    if (this.model !== null) drawCard(find("card"), this.model);
    find("about").hidden = this.model === null;
  }

  heat() {
    document.documentElement.style.setProperty("--heat", find("heat").value / 100);
  }

  words() {
    document.documentElement.lang = currentLanguage();
    sayAll(document);
    document.title = say("title");
    for (const item of this.items) item.draw();
    this.showCard();
    this.update();
  }

  download() {
    const address = URL.createObjectURL(new Blob(["\ufeff", csvOf(this.items)], { type: "text/csv" }));
    const link = element("a");
    link.href = address;
    link.download = "answers.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }
}
