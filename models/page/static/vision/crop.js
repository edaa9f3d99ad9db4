// Square crops round faces, as a dataset's were cut: pipeline/faces/crop.py.

import { windowOf } from "./picture.js";
import { reduce, resize } from "./resample.js";
import { warp } from "./warp.js";

const MAX_WINDOW_PX = 4096; // side of what is cut out at once

/**
 * Return a picture of size × size px: the square of boxScale × the face's side round its centre, turned so that the
 * face leans by `rotation` degrees. Resampled once, antialiased; beyond the picture's edge its pixels are repeated.
 * @param offset how far right of the crop's middle and below it the face's centre lies, in sides of the crop.
 */
export function cropFace(picture, face, { size, boxScale = 1, rotation = 0, offset = [0, 0] }) {
  let { box } = face;
  const shrink = Math.trunc(boxScale * Math.max((box[2] - box[0]) / (8 * size), (box[2] - box[0]) / MAX_WINDOW_PX));
  if (shrink > 1) {
    picture = reduce(picture, shrink);
    box = box.map((end) => end / shrink);
  }
  const side = (box[2] - box[0]) * boxScale;
  const angle = ((rotation - face.tilt) * Math.PI) / 180;
  let [x, y] = centerOf(box, side, angle, offset);
  const reach = (side / 2) * (Math.abs(Math.cos(angle)) + Math.abs(Math.sin(angle))) + 4 * Math.max(1, side / size);
  const [left, top] = [Math.floor(x - reach), Math.floor(y - reach)];
  const cut = windowOf(picture, left, top, Math.ceil(x + reach), Math.ceil(y + reach));
  x -= left;
  y -= top;
  if (!angle) return resize(cut, size, size, "lanczos", [x - side / 2, y - side / 2, x + side / 2, y + side / 2]);
  const dense = size * Math.max(1, Math.ceil((1.5 * side) / size)); // as dense as the picture, so that nothing blurs
  return resize(turned(cut, x, y, side / dense, angle, dense), size, size, "lanczos");
}

/** Return which part of a picture `cropFace` shows of the face, as a view. */
export function viewOfCrop(face, { size, boxScale = 1, rotation = 0, offset = [0, 0] }) {
  const side = (face.box[2] - face.box[0]) * boxScale;
  const angle = face.tilt - rotation;
  return {
    center: centerOf(face.box, side, (-angle * Math.PI) / 180, offset),
    size: [size, size],
    step: side / size,
    angle,
  };
}

function centerOf([x0, y0, x1, y1], side, angle, offset) {
  const [right, down] = offset.map((part) => side * part);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return [(x0 + x1) / 2 - (cos * right + sin * down), (y0 + y1) / 2 - (cos * down - sin * right)];
}

/** Return size × size samples, `step` px apart, turned by `angle` radians round x, y. */
function turned(cut, x, y, step, angle, size) {
  const [cos, sin] = [Math.cos(angle) * step, Math.sin(angle) * step];
  const middle = (size - 1) / 2;
  const matrix = [cos, sin, x - 0.5 - middle * (cos + sin), -sin, cos, y - 0.5 - middle * (cos - sin)];
  return warp(cut, matrix, size, size, { filter: "cubic", border: "repeat" });
}
