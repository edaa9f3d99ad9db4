// Pictures of vision/, {width, height, data}, on canvases and in files.
import { el } from "../elements.js";
import { download, toCanvas, toPng } from "../pictures.js";
import { withAlphaChannel } from "../vision/picture.js";

/** Return a canvas with a picture. */
export function canvasOf(picture) {
  const { width, height, data } = withAlphaChannel(picture);
  return toCanvas(new ImageData(data, width, height));
}

/** Return a figure with a canvas, or what else is shown, and what it is: a text of the page. */
export function figure(text, shown) {
  return el("figure", { class: "shown" }, shown, el("figcaption", { text }));
}

/** Save a canvas as a PNG file, with the parameters that made it, and the run and the SHA-256 of the weights. */
export async function saveCanvas(page, canvas, name, parameters, { run, weights } = {}) {
  const texts = Object.entries({ run, weights }).filter(([, text]) => text);
  download(await toPng(canvas, page.textsOf(parameters, Object.fromEntries(texts))), name);
}

/** Return a canvas with pictures of one height side by side. */
export function beside(...pictures) {
  const canvas = el("canvas", {
    width: pictures.reduce((sum, { width }) => sum + width, 0),
    height: pictures[0].height,
  });
  let left = 0;
  for (const picture of pictures) {
    canvas.getContext("2d").drawImage(canvasOf(picture), left, 0);
    left += picture.width;
  }
  return canvas;
}
