// Faces: {box: [x0, y0, x1, y1], tilt, score}, and non-maximum suppression.
//
// The box is the upright square of the face's side round its centre, px; the tilt is in degrees, clockwise.

import { rounded } from "./rounding.js";

/** Return the face of this centre and side, its tilt brought to -180 to 180 degrees. */
export function faceAt(x, y, side, tilt, score) {
  const box = [x - side / 2, y - side / 2, x + side / 2, y + side / 2].map((end) => rounded(end, 2));
  return { box, tilt: rounded(modulo(tilt + 180, 360) - 180, 1), score };
}

function modulo(a, b) {
  return ((a % b) + b) % b;
}

/** Return {x, y, side, tilt} of a face. */
export function square({ box: [x0, y0, x1, y1], tilt }) {
  return { x: (x0 + x1) / 2, y: (y0 + y1) / 2, side: x1 - x0, tilt };
}

/** Return the faces, best first, without those that overlap a better one. */
export function nonMaxSuppression(faces) {
  const kept = [];
  for (const face of [...faces].sort(compare)) if (!kept.some((other) => overlap(face, other))) kept.push(face);
  return kept;
}

function compare(a, b) {
  if (a.score !== b.score) return b.score - a.score;
  const axis = a.box.findIndex((end, i) => end !== b.box[i]);
  return axis < 0 ? 0 : a.box[axis] - b.box[axis];
}

/** Return whether two tilted squares share more than half of the smaller one. */
export function overlap(a, b) {
  const [first, second] = [square(a), square(b)];
  const apart = Math.hypot(first.x - second.x, first.y - second.y);
  if (apart >= (first.side + second.side) / Math.SQRT2) return false;
  return area(clipped(corners(first), corners(second))) > 0.5 * Math.min(first.side, second.side) ** 2;
}

/** Return the four corners of a tilted square, clockwise. */
export function corners({ x, y, side, tilt }) {
  const turn = (tilt * Math.PI) / 180;
  const [cos, sin] = [(Math.cos(turn) * side) / 2, (Math.sin(turn) * side) / 2];
  return [
    [x - cos + sin, y - sin - cos],
    [x + cos + sin, y + sin - cos],
    [x + cos - sin, y + sin + cos],
    [x - cos - sin, y - sin + cos],
  ];
}

/** Return the part of a polygon within a convex one: Sutherland and Hodgman 1974. Both are clockwise. */
function clipped(polygon, by) {
  let part = polygon;
  for (const [i, [x, y]] of by.entries()) {
    const [nextX, nextY] = by[(i + 1) % by.length];
    const depth = (point) => (nextX - x) * (point[1] - y) - (nextY - y) * (point[0] - x);
    const kept = [];
    for (const [j, point] of part.entries()) {
      const before = part.at(j - 1);
      const [own, other] = [depth(point), depth(before)];
      if (own >= 0 !== other >= 0) {
        const share = other / (other - own);
        kept.push([before[0] + share * (point[0] - before[0]), before[1] + share * (point[1] - before[1])]);
      }
      if (own >= 0) kept.push(point);
    }
    part = kept;
  }
  return part;
}

function area(polygon) {
  const twice = polygon.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = polygon[(i + 1) % polygon.length];
    return sum + x * nextY - nextX * y;
  }, 0);
  return Math.abs(twice) / 2;
}
