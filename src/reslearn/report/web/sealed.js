// The parts of the one-file page: base64 of gzipped bytes in elements of their own, each with the digest it was made
// with. A part is used only after its text, to the last character, has that digest.

import { say } from "./words.js";

// The JSON that says what the file holds: {parts: {name: sha256 of the part's text}, model: {...}}.
export function manifest() {
  return JSON.parse(document.getElementById("manifest").textContent);
}

// The bytes of the part called `name`. Raises an Error in words where one character of it was changed.
export async function part(name) {
  if (!globalThis.crypto?.subtle) throw new Error(say("cannotVerify"));
  const text = document.getElementById(`part-${name}`)?.textContent ?? "";
  const found = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  if (hex(found) !== manifest().parts[name]) throw new Error(say("altered", name));
  try {
    return await inflated(text);
  } catch {
    throw new Error(say("altered", name));
  }
}

async function inflated(text) {
  const characters = atob(text);
  const packed = new Uint8Array(characters.length);
  for (let i = 0; i < packed.length; i += 1) packed[i] = characters.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function hex(buffer) {
  return [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
