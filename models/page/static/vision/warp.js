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
  const channels = channelsOf(picture);
  const made = blank(width, height, channels, picture.data.constructor);
  const isWhole = !(picture.data instanceof Float32Array);
  const [a, b, c, d, e, f] = matrix;
  const { first } = FILTERS[filter];
  const weights = Array.from({ length: PARTS }, (_, part) => FILTERS[filter].weights(part / PARTS));
  const count = weights[0].length;
  const columns = new Int32Array(count);
  const across = Float64Array.from({ length: width }, (_, x) => roundHalfEven(a * x * FINE));
  const along = Float64Array.from({ length: width }, (_, x) => roundHalfEven(d * x * FINE));
  for (let y = 0, to = 0; y < height; y++) {
    const startX = roundHalfEven((b * y + c) * FINE) + FINE / PARTS / 2;
    const startY = roundHalfEven((e * y + f) * FINE) + FINE / PARTS / 2;
    for (let x = 0; x < width; x++, to += channels) {
      const placeX = Math.floor((startX + across[x]) / PARTS);
      const placeY = Math.floor((startY + along[x]) / PARTS);
      const left = Math.floor(placeX / PARTS) + first;
      const top = Math.floor(placeY / PARTS) + first;
      const horizontal = weights[placeX & (PARTS - 1)];
      const vertical = weights[placeY & (PARTS - 1)];
      for (let i = 0; i < count; i++) columns[i] = place(left + i, picture.width, border);
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let j = 0; j < count; j++) {
          const row = place(top + j, picture.height, border);
          let line = 0;
          for (let i = 0; i < count; i++)
            line +=
              horizontal[i] *
              (row < 0 || columns[i] < 0
                ? border
                : picture.data[(row * picture.width + columns[i]) * channels + channel]);
          sum += vertical[j] * line;
        }
        made.data[to + channel] = isWhole ? Math.floor(sum + 0.5) : sum;
      }
    }
  }
  return made;
}

/** Return the row or column at a place; -1: it lies beyond the edge, where all pixels are `border`. */
function place(at, length, border) {
  if (at >= 0 && at < length) return at;
  if (border !== "repeat") return -1;
  return at < 0 ? 0 : length - 1;
}
