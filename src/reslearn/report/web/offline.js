// Answers from the model inside this file, by onnxruntime-web: no server, no network.

import { part } from "./sealed.js";
import { say } from "./words.js";

let session = null;
let ort = null;
let opened = null; // a promise of the models
let queue = Promise.resolve(); // one picture at a time

// The one model of this file, verified part by part and ready to answer; opened once.
export function offlineModels() {
  opened ??= openModel();
  return opened;
}

async function openModel() {
  if (!globalThis.DecompressionStream || !globalThis.WebAssembly) throw new Error(say("old"));
  const about = await part("bundle");
  const code = await part("runtime-js");
  const wasm = await part("runtime-wasm");
  const graph = await part("model");
  const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  ort = await import(address);
  URL.revokeObjectURL(address);
  ort.env.wasm.wasmBinary = wasm.buffer;
  ort.env.wasm.numThreads = 1;
  session = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });
  return [JSON.parse(new TextDecoder().decode(about))];
}

// {predictions, heat} for one picture. Raises an Error in words for what this browser cannot read.
export function offlineAnswer(model, file, top) {
  const answer = queue.then(() => answered(model, file, top));
  queue = answer.catch(() => null);
  return answer;
}

async function answered(model, file, top) {
  const { data, width, height } = await pixels(file);
  const images = new ort.Tensor("uint8", data, [1, height, width, 3]);
  const found = await session.run({ images });
  const probabilities = softmax(found.logits.data, model.temperature ?? 1);
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  const predictions = order.slice(0, top).map((index) => (
    { label: model.classes[index], index, probability: probabilities[index] }
  ));
  const [best] = predictions;
  if (model.threshold != null && best.probability < model.threshold) {
    predictions.unshift({ label: "unknown", index: null, probability: best.probability });
  }
  return { predictions, heat: found.cam ? heatOf(found.cam, best.index) : null, logits: [...found.logits.data] };
}

// RGB bytes of a picture as the browser decodes it, upright, its alpha dropped.
async function pixels(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {
      imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none",
    });
  } catch {
    throw new Error(say("notPicture"));
  }
  const { width, height } = bitmap;
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(3 * width * height);
  for (let i = 0, j = 0; i < rgba.length; i += 4) {
    data[j++] = rgba[i];
    data[j++] = rgba[i + 1];
    data[j++] = rgba[i + 2];
  }
  return { data, width, height };
}

function softmax(logits, temperature) {
  const scaled = Array.from(logits, (x) => x / temperature);
  const largest = Math.max(...scaled);
  const powers = scaled.map((x) => Math.exp(x - largest));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((x) => x / total);
}

// The class map of one class, what lies above 0, its highest place at 1.
function heatOf(cam, index) {
  const [, , height, width] = cam.dims;
  const values = cam.data.subarray(index * height * width, (index + 1) * height * width);
  const largest = Math.max(...values, 0);
  if (largest <= 0) return null;
  return Array.from({ length: height }, (_, y) => (
    Array.from({ length: width }, (_, x) => Math.max(values[y * width + x], 0) / largest)
  ));
}
