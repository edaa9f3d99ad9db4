// OpenCV's cv2.warpAffine: places are multiples of 1/32 px, as there.
//
// A matrix [a, b, c, d, e, f] maps a point x, y, pixel centres at whole numbers, to a x + b y + c, d x + e y + f.

import { blank, channelsOf } from "./picture.js";
import { cubicWeights } from "./opencv.js";
import { roundHalfEven } from "./rounding.js";

const PARTS = 32; // of a pixel
const FINE = 1024; // places are added up in such parts of a pixel

const FILTERS = {
  linear: { first: 0, weights: (part) => [1 - part, part] },
  cubic: { first: -1, weights: cubicWeights },
};

/** Return the matrix of the way back. */
export function inverse([a, b, c, d, e, f]) {
  const scale = 1 / (a * e - b * d);
  const [p, q, r, s] = [e * scale, -b * scale, -d * scale, a * scale];
  return [p, q, -p * c - q * f, r, s, -r * c - s * f];
}

/**
 * Return what lies in a picture at the places to which the matrix maps the pixels of the made one.
 * @param border the level beyond the picture's edge; "repeat": that of the edge.
 */
export function warp(picture, matrix, width, height, { filter = "linear", border = 0 } = {}) {
  const { data } = picture;
  const channels = channelsOf(picture);
  const made = blank(width, height, channels, data.constructor);
  const isWhole = !(data instanceof Float32Array);
  const { first, count, weights } = tableOf(FILTERS[filter]);
  const near = count * count;
  const [a, b, c, d, e, f] = matrix;
  const across = Float64Array.from({ length: width }, (_, x) => roundHalfEven(a * x * FINE));
  const along = Float64Array.from({ length: width }, (_, x) => roundHalfEven(d * x * FINE));
  const pixels = new Int32Array(near); // where the neighbours of a place are in `data`; -1: beyond the edge
  for (let y = 0, to = 0; y < height; y++) {
    const startX = roundHalfEven((b * y + c) * FINE) + FINE / PARTS / 2;
    const startY = roundHalfEven((e * y + f) * FINE) + FINE / PARTS / 2;
    for (let x = 0; x < width; x++, to += channels) {
      const placeX = Math.floor((startX + across[x]) / PARTS);
      const placeY = Math.floor((startY + along[x]) / PARTS);
      const left = Math.floor(placeX / PARTS) + first;
      const top = Math.floor(placeY / PARTS) + first;
      for (let j = 0, k = 0; j < count; j++) {
        const row = placeOf(top + j, picture.height, border);
        for (let i = 0; i < count; i++, k++) {
          const column = placeOf(left + i, picture.width, border);
          pixels[k] = row < 0 || column < 0 ? -1 : (row * picture.width + column) * channels;
        }
      }
      const start = ((placeY & (PARTS - 1)) * PARTS + (placeX & (PARTS - 1))) * near;
      for (let channel = 0; channel < channels; channel++) {
        let sum = isWhole ? 0.5 : 0;
        for (let k = 0; k < near; k++) sum += weights[start + k] * (pixels[k] < 0 ? border : data[pixels[k] + channel]);
        made.data[to + channel] = isWhole ? Math.floor(sum) : sum;
      }
    }
  }
  return made;
}

/** Return the weights of the count × count neighbours of each place between pixels, the first of which is `first` px
 * right of it and below it. */
function tableOf({ first, weights: of }) {
  const parts = Array.from({ length: PARTS }, (_, part) => of(part / PARTS));
  const weights = parts.flatMap((down) => parts.flatMap((across) => down.flatMap((v) => across.map((h) => v * h))));
  return { first, count: parts[0].length, weights: Float64Array.from(weights) };
}

/** Return the row or column at a place; -1: it lies beyond the edge, where all pixels are `border`. */
function placeOf(at, length, border) {
  if (at >= 0 && at < length) return at;
  if (border !== "repeat") return -1;
  return at < 0 ? 0 : length - 1;
}
