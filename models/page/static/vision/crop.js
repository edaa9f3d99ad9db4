// Square crops round faces, as a dataset's were cut: pipeline/faces/crop.py.

import { windowOf } from "./picture.js";
import { reduce, resize } from "./resample.js";
import { warp } from "./warp.js";

const REDUCED_DENSITY = 3; // px left for one of the crop, at least, when a picture is reduced first
const MAX_WINDOW_PX = 4096; // side of what is cut out at once

/**
 * Return a picture of size × size px: the square of boxScale × the face's side round its centre, turned so that the
 * face leans by `rotation` degrees. Resampled once, antialiased; beyond the picture's edge its pixels are repeated.
 * @param offset how far right of the crop's middle and below it the face's centre lies, in sides of the crop.
 */
export function cropFace(picture, face, { size, boxScale = 1, rotation = 0, offset = [0, 0] }) {
  let side = (face.box[2] - face.box[0]) * boxScale;
  const angle = ((rotation - face.tilt) * Math.PI) / 180;
  let [x, y] = centerOf(face.box, side, angle, offset);
  let reach = (side / 2) * (Math.abs(Math.cos(angle)) + Math.abs(Math.sin(angle))) + 4 * Math.max(1, side / size);
  const shrink = Math.trunc(Math.max(side / (REDUCED_DENSITY * size), side / MAX_WINDOW_PX));
  if (shrink > 1) {
    const [firstColumn, endColumn] = squares(x, reach, shrink, picture.width);
    const [firstRow, endRow] = squares(y, reach, shrink, picture.height);
    picture = reduce(windowOf(picture, firstColumn, firstRow, endColumn, endRow), shrink);
    [x, y] = [(x - firstColumn) / shrink, (y - firstRow) / shrink];
    [side, reach] = [side / shrink, reach / shrink];
  }
  const [left, top] = [Math.floor(x - reach), Math.floor(y - reach)];
  const cut = windowOf(picture, left, top, Math.ceil(x + reach), Math.ceil(y + reach));
  x -= left;
  y -= top;
  if (!angle) return resize(cut, size, size, "lanczos", [x - side / 2, y - side / 2, x + side / 2, y + side / 2]);
  const density = side > 2 * size ? side / size : (1.5 * side) / size; // at least the picture's, so that nothing blurs
  const dense = size * Math.max(1, Math.ceil(density));
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

/** Return the start of the first and the end of the last `factor` px that are within `reach` of a place on a side. */
function squares(at, reach, factor, length) {
  const last = Math.floor((length - 1) / factor);
  const [first, end] = [at - reach, at + reach].map((to) => Math.min(Math.max(Math.floor(to / factor), 0), last));
  return [first * factor, Math.min((end + 1) * factor, length)];
}

/** Return size × size samples, `step` px apart, turned by `angle` radians round x, y. */
function turned(cut, x, y, step, angle, size) {
  const [cos, sin] = [Math.cos(angle) * step, Math.sin(angle) * step];
  const middle = (size - 1) / 2;
  const matrix = [cos, sin, x - 0.5 - middle * (cos + sin), -sin, cos, y - 0.5 - middle * (cos - sin)];
  return warp(cut, matrix, size, size, { filter: "cubic", border: "repeat" });
}
