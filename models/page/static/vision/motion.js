// When the eyes of a still face close and open: models/sampling/motion.py.

import { roundHalfEven } from "./rounding.js";

export const FPS = 24; // anime's
const FIRST_S = [0.5, 1.3]; // until the first blink
const BETWEEN_S = [1.6, 4.5]; // from one to the next
const [TWICE_SHARE, TWICE_S] = [0.15, 0.25]; // of blinks, a second one follows soon
const END_S = 0.4; // for which the eyes are open at the end

/**
 * Return {openness, shown}: the states of the eyes, 1 as they are and 0 closed, of which state 0 is the picture as it
 * is; and the state that is shown in each frame.
 * @param random {uniform(low, high), integer(low, end), share()}: see `generatorOf` in numpy.js.
 */
export function natural(seconds, random) {
  const openness = new Array(roundHalfEven(seconds * FPS)).fill(1);
  const last = roundHalfEven((seconds - END_S) * FPS); // frame by which the eyes are open again
  let levels = blink(random);
  let first = Math.min(roundHalfEven(random.uniform(...FIRST_S) * FPS), last - levels.length);
  if (first < 1) throw new RangeError(`${seconds} s are too short for a blink`);
  while (first + levels.length <= last) {
    openness.splice(first, levels.length, ...levels);
    const rest = random.share() < TWICE_SHARE ? TWICE_S : random.uniform(...BETWEEN_S);
    first += levels.length + roundHalfEven(rest * FPS);
    levels = blink(random);
  }
  const states = [...new Set(openness)].sort((a, b) => b - a);
  return { openness: states, shown: openness.map((level) => states.indexOf(level)) };
}

function blink(random) {
  const held = random.integer(2, 4);
  const steps = random.integer(3, 5);
  return [...new Array(held).fill(0), ...Array.from({ length: steps - 1 }, (_, i) => (i + 1) / steps)];
}
