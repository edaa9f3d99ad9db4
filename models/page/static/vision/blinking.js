// A picture whose faces blink: AnimateBlink, workflows/animation.py.

import { square } from "./boxes.js";
import { findFaces } from "./detector.js";
import { animateEyes } from "./eyes.js";
import { findLandmarks, seenEyes } from "./landmarks.js";
import { natural } from "./motion.js";
import { intoPicture, withAlpha } from "./patches.js";
import { channelsOf, onWhite } from "./picture.js";
import { roundHalfEven } from "./rounding.js";
import { Pyramid, toPicture } from "./view.js";

const MIN_FACE_PX = 32;
const BOX_SCALE = 1.5; // side of an upright crop, in sides of the face
const CLOSED = 0.35; // openness: an eye that is open less far cannot blink

/**
 * Return {faces, patches, shown}: the faces, each with `problem` null, "hidden", "closed" or "outside"; the patches
 * of those that blink; and for each patch the state in each frame, for `partsOf`.
 * @param options.generatorOf (number of a face) -> its random generator; options.faces those that are known.
 */
export async function blink(engine, picture, { seconds = 4, generatorOf, faces: known, signal, onProgress } = {}) {
  const flat = onWhite(picture);
  const found = known ?? (await findFaces(engine, flat, { minFace: MIN_FACE_PX, signal }));
  const pyramid = new Pyramid(flat);
  const [faces, patches, shown] = [[], [], []];
  for (const [number, face] of found.entries()) {
    signal?.throwIfAborted();
    onProgress?.(number / found.length);
    const view = uprightView(face);
    const { eyes, problem } = await eyesOf(engine, pyramid.show(view));
    const motion = natural(seconds, generatorOf(number));
    const made = problem ? [] : await animateEyes(engine, eyes, motion.openness);
    const inside = made.map((patch) => intoPicture(flat, patch, toPicture(view))).filter(Boolean);
    faces.push({ ...face, problem: problem ?? (inside.length ? null : "outside") });
    patches.push(...inside.map((patch) => (channelsOf(picture) === 4 ? withAlpha(patch, picture) : patch)));
    shown.push(...inside.map(() => motion.shown));
  }
  return { faces, patches, shown };
}

/** Return the view of the upright square crop round a face, of as many px as in the picture. */
export function uprightView(face) {
  const { x, y, side, tilt } = square(face);
  const size = Math.max(2, roundHalfEven(BOX_SCALE * side));
  const center = [x, y].map((at) => roundHalfEven(at - size / 2) + size / 2);
  return { center, size: [size, size], step: 1, angle: tilt };
}

/** Return {eyes} of an upright crop, for `animateEyes`, or {problem}. */
async function eyesOf(engine, crop) {
  const margin = (crop.width * (1 - 1 / BOX_SCALE)) / 2;
  const face = [margin, margin, crop.width - margin, crop.width - margin];
  const found = await findLandmarks(engine, new Pyramid(crop), { box: face, tilt: 0, score: 1 });
  const { left, right, openness } = seenEyes(found, CLOSED);
  if (left || right) return { eyes: { crop, face, left, right, openness } };
  return { problem: Number.isNaN(seenEyes(found).openness) ? "hidden" : "closed" };
}
