// Patches of an upright crop, see eyes.js, as patches of the picture: models/sampling/animation.py.

import { bounds, onAlpha, shifted } from "./pasting.js";
import { blank, windowOf } from "./picture.js";
import { inverse, warp } from "./warp.js";

const SOFT_PX = 2; // in a turned face, at the border of what changes

/**
 * Return a patch of a crop as one of the RGB picture, in which it may lean; null if it is outside. Only what changes,
 * and SOFT_PX round it, is taken.
 * @param toPicture the matrix from points of the crop to points of the picture.
 */
export function intoPicture(picture, patch, [a, b, c, d, e, f]) {
  const [x0, y0, x1, y1] = patch.box;
  const matrix = [a, b, c + a * x0 + b * y0, d, e, f + d * x0 + e * y0];
  const box = bounds(matrix, 0, 0, x1 - x0 - 1, y1 - y0 - 1, picture);
  if (!box) return null;
  const back = inverse(shifted(matrix, box[0], box[1]));
  const [width, height] = [box[2] - box[0], box[3] - box[1]];
  const under = windowOf(picture, ...box);
  const weights = warp(changed(patch), back, width, height);
  const frames = patch.frames.slice(1).map((frame) => {
    const painted = warp(frame, back, width, height, { filter: "cubic", border: "repeat" });
    const data = under.data.map((level, at) => level + weights.data[Math.floor(at / 3)] * (painted.data[at] - level));
    return { ...under, data };
  });
  return { box, frames: [under, ...frames] };
}

/** Return a picture of one channel: 1 where a state differs from the first, falling to 0 round it. */
function changed({ frames }) {
  const [{ width, height }] = frames;
  const differs = blank(width, height, 1, Float32Array);
  for (const frame of frames.slice(1))
    for (let at = 0; at < frame.data.length; at++)
      if (frame.data[at] !== frames[0].data[at]) differs.data[Math.floor(at / 3)] = 1;
  const wide = filtered(
    differs,
    (levels) => Math.max(...levels),
    (at, length) => (at >= 0 && at < length ? at : null),
  );
  return filtered(wide, (levels) => levels.reduce((sum, each) => sum + each, 0) / levels.length, reflected);
}

/** Return what `combine` makes of the 2 SOFT_PX + 1 px round each pixel, along rows and then along columns.
 * @param placeOf the place to look at for one that may lie beyond the edge; null: none. */
function filtered(picture, combine, placeOf) {
  const { width, height } = picture;
  const along = (data, length, step, start, made) => {
    for (let at = 0; at < length; at++) {
      const levels = [];
      for (let by = -SOFT_PX; by <= SOFT_PX; by++) {
        const place = placeOf(at + by, length);
        if (place !== null) levels.push(data[start + place * step]);
      }
      made[start + at * step] = combine(levels);
    }
  };
  const [rows, made] = [new Float32Array(width * height), new Float32Array(width * height)];
  for (let y = 0; y < height; y++) along(picture.data, width, 1, y * width, rows);
  for (let x = 0; x < width; x++) along(rows, height, width, x, made);
  return { width, height, data: made };
}

/** Return the place that is reflected at the edge, whose pixel is not repeated: OpenCV's default border. */
function reflected(at, length) {
  if (length === 1) return 0;
  while (at < 0 || at >= length) at = at < 0 ? -at : 2 * (length - 1) - at;
  return at;
}

/** Return a patch of a picture that lay on white as one of the RGBA picture itself, whose alpha stays. */
export function withAlpha(patch, picture) {
  const own = windowOf(picture, ...patch.box);
  const frames = patch.frames.map((frame) => {
    const data = own.data.slice();
    for (let at = 0; at < frame.data.length / 3; at++) {
      const alpha = data[4 * at + 3];
      const isSame = [0, 1, 2].every(
        (channel) => frame.data[3 * at + channel] === patch.frames[0].data[3 * at + channel],
      );
      if (isSame || !alpha) continue;
      for (let channel = 0; channel < 3; channel++)
        data[4 * at + channel] = onAlpha(frame.data[3 * at + channel], alpha);
    }
    return { ...own, data };
  });
  return { box: patch.box, frames };
}
