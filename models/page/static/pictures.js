// Pictures: between a network's numbers, a canvas and a file.
import { withTexts } from "./png.js";

/** Return an ImageData of picture `index` of an output (n, 3, H, W), whose 0 is the grey level `middle`. */
export function toImage({ data, dims }, middle, index = 0) {
  const [height, width] = dims.slice(-2);
  const plane = height * width;
  const image = new ImageData(width, height);
  for (let channel = 0; channel < 3; channel++) {
    const start = (3 * index + channel) * plane;
    for (let i = 0; i < plane; i++) image.data[4 * i + channel] = data[start + i] * middle + middle;
  }
  for (let i = 0; i < plane; i++) image.data[4 * i + 3] = 255;
  return image; // whose bytes round, and clamp to 0 to 255
}

/** Return a canvas with an ImageData. */
export function toCanvas(image) {
  const canvas = document.createElement("canvas");
  paintOn(canvas, image);
  return canvas;
}

export function paintOn(canvas, image) {
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Return a canvas with ImageData of one size in rows of `columns`. */
export function sheetOf(images, columns) {
  const { width, height } = images[0];
  const canvas = document.createElement("canvas");
  canvas.width = columns * width;
  canvas.height = Math.ceil(images.length / columns) * height;
  const context = canvas.getContext("2d");
  images.forEach((image, index) =>
    context.putImageData(image, (index % columns) * width, Math.floor(index / columns) * height),
  );
  return canvas;
}

/** Return a promise of the PNG file of a canvas, with texts by keyword. */
export async function toPng(canvas, texts) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  return withTexts(new Uint8Array(await blob.arrayBuffer()), texts);
}

/** Save a file under a name. */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
