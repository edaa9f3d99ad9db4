// Faces that are put back into the picture that they were cut from: models/sampling/pasting.py.

import { blank, channelsOf } from "./picture.js";
import { resize } from "./resample.js";
import { roundHalfEven } from "./rounding.js";
import { mapped, toPicture } from "./view.js";
import { inverse, warp } from "./warp.js";

const SOFT_BORDER = 0.15; // of the crop's side: over it the face fades into the picture
const MAX_PASTED_PX = 4096; // side at which a face is resampled

/**
 * Return a picture, RGB or RGBA whose alpha stays, with a face where it was cut from, turned as it was.
 * @param view that of the crop, of as many px as the face. In a picture with transparency it lies on white.
 */
export function paste(picture, face, view) {
  const [a, b, c, d, e, f] = toPicture(view);
  const size = face.width;
  const side = Math.min(MAX_PASTED_PX, Math.max(1, roundHalfEven(Math.hypot(a, d) * size)));
  const scale = size / side;
  const shift = scale / 2 - 0.5;
  let matrix = [a * scale, b * scale, c + (a + b) * shift, d * scale, e * scale, f + (d + e) * shift];
  const box = bounds(matrix, -0.5, -0.5, side - 0.5, side - 0.5, picture);
  const made = { ...picture, data: picture.data.slice() };
  if (!box) return made;
  const [left, top, right, bottom] = box;
  matrix = inverse(shifted(matrix, left, top));
  const weights = warp(softMask(side), matrix, right - left, bottom - top);
  const large = resize(face, side, side, "lanczos");
  const painted = warp(large, matrix, right - left, bottom - top, { filter: "cubic", border: "repeat" });
  mix(made, painted, weights, left, top);
  return made;
}

/** Return the whole px, half open, of a picture in which a part lies that a matrix maps to it; null: it is outside. */
export function bounds(matrix, x0, y0, x1, y1, picture) {
  const ends = [
    [x0, y0],
    [x1, y0],
    [x0, y1],
    [x1, y1],
  ].map(([x, y]) => mapped(matrix, x, y));
  const [xs, ys] = [ends.map(([x]) => x), ends.map(([, y]) => y)];
  const [left, top] = [Math.max(0, Math.floor(Math.min(...xs))), Math.max(0, Math.floor(Math.min(...ys)))];
  const right = Math.min(picture.width, Math.ceil(Math.max(...xs)) + 1);
  const bottom = Math.min(picture.height, Math.ceil(Math.max(...ys)) + 1);
  return right > left && bottom > top ? [left, top, right, bottom] : null;
}

/** Return a matrix to points of a part of a picture whose first pixel is left, top. */
export function shifted([a, b, c, d, e, f], left, top) {
  return [a, b, c - left, d, e, f - top];
}

/** Mix what is painted into a picture, with its first pixel at left, top. */
function mix(picture, painted, weights, left, top) {
  const channels = channelsOf(picture);
  for (let y = 0, at = 0; y < painted.height; y++)
    for (let x = 0; x < painted.width; x++, at++) {
      const to = ((top + y) * picture.width + left + x) * channels;
      const alpha = channels === 4 ? picture.data[to + 3] : 255;
      if (!alpha) continue;
      for (let channel = 0; channel < 3; channel++) {
        const under = picture.data[to + channel];
        picture.data[to + channel] =
          under + weights.data[at] * (onAlpha(painted.data[at * 3 + channel], alpha) - under);
      }
    }
}

/** Return the level that gives, with that alpha on white, a level. */
export function onAlpha(level, alpha) {
  return Math.min(Math.max(255 - ((255 - level) * 255) / alpha, 0), 255);
}

/** Return a picture of one channel: 1 in the middle, falling smoothly to 0 over SOFT_BORDER at each side. */
export function softMask(size) {
  const ramp = Array.from({ length: size }, (_, i) => {
    const at = Math.min(Math.min(i + 0.5, size - i - 0.5) / (SOFT_BORDER * size), 1);
    return at * at * (3 - 2 * at);
  });
  const mask = blank(size, size, 1, Float32Array);
  for (let y = 0, to = 0; y < size; y++) for (let x = 0; x < size; x++) mask.data[to++] = ramp[y] * ramp[x];
  return mask;
}
