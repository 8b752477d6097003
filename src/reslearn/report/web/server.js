// Answers from the server that the page came from.

import { say } from "./words.js";

const TRIES = 6;

export class Refusal extends Error {}

// What the server serves: an array of models with what is told of each.
export async function serverModels() {
  const answer = await asked("models");
  return (await answer.json()).models;
}

// {predictions, heat, error} for one picture. Raises `Refusal` in words where there is none.
export async function serverAnswer(model, file, top) {
  const form = new FormData();
  form.append("file", file, file.name || "picture");
  const query = new URLSearchParams({ model: model.name, top, cam: model.cam ? 1 : 0 });
  for (let tried = 1; ; tried += 1) {
    const answer = await asked(`predict?${query}`, { method: "POST", body: form });
    if ((answer.status === 429 || answer.status === 503) && tried < TRIES) {
      await new Promise((then) => setTimeout(then, 1000 * (Number(answer.headers.get("Retry-After")) || 1)));
      continue;
    }
    const value = await answer.json().catch(() => ({}));
    const [first] = value.predictions ?? [];
    if (!answer.ok || !first || first.error) {
      throw new Refusal(first?.error ?? (answer.status === 413 ? say("tooLarge") : value.error) ?? say("gone"));
    }
    return { predictions: first.predictions, heat: first.cam?.heat ?? null };
  }
}

async function asked(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refusal(say("gone"));
  }
  if (answer.status === 401) throw new Refusal(say("key"));
  return answer;
}
