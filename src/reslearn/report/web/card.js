// What is told of a model: classes, scores with their intervals, preprocessing, checksum, what it was trained on.

import { element } from "./pictures.js";
import { percent, say } from "./words.js";

const FEW = 24; // classes that are named at first

export function drawCard(place, model) {
  place.replaceChildren();
  const list = element("dl", "facts", place);
  for (const [name, value] of facts(model)) {
    element("dt", "", list, say(name));
    const told = element("dd", name === "checksum" || name === "exported" ? "digest" : "", list);
    for (const line of Array.isArray(value) ? value : [value]) element("div", "", told, String(line));
  }
  if (model.header) {
    const whole = element("details", "", place);
    element("summary", "", whole, say("header"));
    element("pre", "", whole, JSON.stringify(model.header, null, 1));
  }
}

function facts(model) {
  const p = model.preprocess;
  const shown = model.classes.slice(0, FEW).join(", ");
  const rest = model.classes.length - FEW;
  return [
    ["network", model.network],
    ["classes", `${model.classes.length}: ${shown}${rest > 0 ? `, ${say("more", rest)}` : ""}`],
    ["scores", model.scores?.length ? model.scores.map(score) : say("none")],
    ["input", p ? say(p.mode, p.size, p.resize) : say("none")],
    ["trained", model.trained_on || say("none")],
    ["made", model.recipe],
    ["weights", model.weights],
    ["threshold", model.threshold == null ? null : percent(model.threshold)],
    ["temperature", model.temperature == null ? null : model.temperature.toFixed(2)],
    ["engine", [model.engine, model.precision].filter(Boolean).join(", ")],
    ["checksum", model.sha256],
    ["exported", model.exported],
    ["runtime", model.runtime],
  ].filter(([, value]) => value != null && value !== "");
}

function score(one) {
  const [low, high] = one.interval;
  const range = `${(100 * low).toFixed(1)} – ${percent(high)}`;
  return `${one.split}: ${percent(one.top1)} (95 %: ${range}), ${say("of", one.images.toLocaleString("en"))}`;
}
