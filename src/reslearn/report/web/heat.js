// Heat over a picture: rows of numbers in 0..1 as a canvas, and the part of the picture that it covers.

const COLOURS = [
  [87, 16, 110], [136, 34, 106], [188, 55, 84], [227, 89, 51], [249, 140, 10], [249, 201, 50], [245, 233, 110],
]; // violet over red to yellow

// A canvas of one pixel for each place; the browser makes it smooth when it is drawn larger.
export function heatCanvas(rows) {
  const canvas = document.createElement("canvas");
  canvas.width = rows[0].length;
  canvas.height = rows.length;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  rows.flat().forEach((heat, i) => {
    pixels.data.set([...colour(heat), Math.round(255 * Math.min(1, heat * 1.3))], 4 * i);
  });
  context.putImageData(pixels, 0, 0);
  return canvas;
}

function colour(heat) {
  const place = Math.min(Math.max(heat, 0), 1) * (COLOURS.length - 1);
  const below = Math.min(Math.floor(place), COLOURS.length - 2);
  return COLOURS[below].map((from, c) => Math.round(from + (place - below) * (COLOURS[below + 1][c] - from)));
}

// What part of a picture of this size the network sees, as fractions: left, top, width, height. Padding lies outside.
export function covered(width, height, preprocess) {
  const { size, resize, mode } = preprocess;
  if (mode === "squash") return [0, 0, 1, 1];
  const factor = mode === "crop" ? resize / Math.min(width, height) : size / Math.max(width, height);
  const [w, h] = [size / (width * factor), size / (height * factor)];
  return [(1 - w) / 2, (1 - h) / 2, w, h];
}
