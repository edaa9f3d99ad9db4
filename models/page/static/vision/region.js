// The part of a face that a blink network sees, and what lies in it: models/data/clips.py.

import { windowOf } from "./picture.js";
import { resize } from "./resample.js";

// of both eyes' boxes together: how much wider, and how much higher, the strip is at least
const [EYES_WIDTH, EYES_HEIGHT] = [1.25, 1.5];
// of the face's box, where an eye is hidden: the strip's width, and where its middle lies
const [FACE_WIDTH, FACE_MIDDLE] = [0.84, 0.52];

/** Return the box of the `kind` eyes, a strip twice as wide as high, or face, a square; an eye is null if hidden. */
export function regionBox(kind, face, left, right) {
  if (kind === "face") return around(face, Math.max(face[2] - face[0], face[3] - face[1]), 1);
  if (!left || !right) {
    const middle = face[1] + FACE_MIDDLE * (face[3] - face[1]);
    return around([face[0], middle, face[2], middle], FACE_WIDTH * (face[2] - face[0]), 2);
  }
  const starts = [0, 1].map((axis) => Math.min(left[axis], right[axis]));
  const ends = [2, 3].map((axis) => Math.max(left[axis], right[axis]));
  const width = Math.max(EYES_WIDTH * (ends[0] - starts[0]), 2 * EYES_HEIGHT * (ends[1] - starts[1]));
  return around([...starts, ...ends], width, 2);
}

function around([x0, y0, x1, y1], width, aspect) {
  const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
  return [x - width / 2, y - width / aspect / 2, x + width / 2, y + width / aspect / 2];
}

/** Return what lies in a box of a picture, width × height px; beyond its edge its border is repeated. */
export function cutBox(picture, [x0, y0, x1, y1], width, height) {
  const beyond = Math.max(0, ...[-x0, -y0, x1 - picture.width, y1 - picture.height].map(Math.ceil));
  const padded = windowOf(picture, -beyond, -beyond, picture.width + beyond, picture.height + beyond);
  return resize(padded, width, height, "lanczos", [x0 + beyond, y0 + beyond, x1 + beyond, y1 + beyond]);
}
