// The page that is one file.

import { offlineAnswer, offlineModels } from "./offline.js";
import { start } from "./page.js";

start({ models: offlineModels, answer: offlineAnswer, ready: "ready" });

// For programs that drive this page: `await reslearn.answer(blob)` gives {predictions, heat, logits}.
globalThis.reslearn = {
  answer: async (blob, top = 5) => {
    const [model] = await offlineModels();
    return offlineAnswer(model, blob, top);
  },
};
