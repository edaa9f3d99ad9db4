// How long the parts of an animation are shown.

import { roundHalfEven } from "./rounding.js";

/** Yield {part, ticks}: each part with how many of `perSecond` it is shown, rounded so that the times do not drift. */
export function* timed(parts, fps, perSecond) {
  let [frames, shown] = [0, 0];
  for (const part of parts) {
    frames += part.times;
    const end = roundHalfEven((perSecond * frames) / fps);
    yield { part, ticks: end - shown };
    shown = end;
  }
}
