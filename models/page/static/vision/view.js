// Views: copies of a picture, or of a part of it, at another scale and angle.
//
// A view is {center: [x, y], size: [width, height], step, angle}: what lies in the copy's middle, px of the picture;
// px of the copy; px of the picture from one px of the copy to the next; degrees, clockwise: a face that leans by them
// stands upright in the copy.

import { shrinkArea } from "./opencv.js";
import { warp } from "./warp.js";

const WHITE = 255; // beyond a picture's edge

/** Return the matrix from points of the copy to points of the picture, pixel centres at whole numbers. */
export function toPicture({ center: [x, y], size: [width, height], step, angle }) {
  const turn = (angle * Math.PI) / 180;
  const cos = step * Math.cos(turn);
  const sin = step * Math.sin(turn);
  const [right, down] = [(width - 1) / 2, (height - 1) / 2];
  return [cos, -sin, x - 0.5 - (cos * right - sin * down), sin, cos, y - 0.5 - (sin * right + cos * down)];
}

/** Return the point that a matrix maps a point to. */
export function mapped([a, b, c, d, e, f], x, y) {
  return [a * x + b * y + c, d * x + e * y + f];
}

/** Return a matrix of points counted from the edge of the first pixel, of one of points counted from its centre. */
export function fromEdges([a, b, c, d, e, f]) {
  return [a, b, c + 0.5 - (a + b) / 2, d, e, f + 0.5 - (d + e) / 2];
}

/** A picture and its halves: a coarse copy is made from pixels that were averaged. */
export class Pyramid {
  #levels;

  constructor(picture) {
    this.picture = picture;
    this.#levels = [picture];
  }

  /** Return the copy. */
  show(view) {
    const level = Math.max(0, Math.trunc(Math.log2(view.step) + 1e-9));
    while (this.#levels.length <= level) this.#levels.push(half(this.#levels.at(-1)));
    const pixels = this.#levels[level];
    const [wide, high] = [pixels.width / this.picture.width, pixels.height / this.picture.height];
    const [a, b, c, d, e, f] = toPicture(view);
    const matrix = [a * wide, b * wide, (c + 0.5) * wide - 0.5, d * high, e * high, (f + 0.5) * high - 0.5];
    return warp(pixels, matrix, ...view.size, { border: WHITE });
  }
}

function half(picture) {
  return shrinkArea(picture, (picture.width + 1) >> 1, (picture.height + 1) >> 1);
}
