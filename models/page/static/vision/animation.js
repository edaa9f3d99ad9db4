// The frames of a picture with patches, see eyes.js: models/sampling/animation.py.

import { channelsOf, put, windowOf } from "./picture.js";

/** Return a picture with each patch in its state. */
export function show(picture, patches, states) {
  const made = { ...picture, data: picture.data.slice() };
  const channels = channelsOf(picture);
  patches.forEach(({ box: [x0, y0], frames }, number) => {
    const [still, frame] = [frames[0], frames[states[number]]];
    if (frame === still) return;
    const shown = windowOf(made, x0, y0, x0 + frame.width, y0 + frame.height); // boxes overlap, what changes does not
    for (let at = 0; at < frame.data.length; at += channels)
      if (changes(frames, at, channels)) shown.data.set(frame.data.subarray(at, at + channels), at);
    put(made, shown, x0, y0);
  });
  return made;
}

/** Return whether a pixel is not the same in all frames. */
function changes(frames, at, channels) {
  for (let i = at; i < at + channels; i++) if (frames.some(({ data }) => data[i] !== frames[0].data[i])) return true;
  return false;
}

/**
 * Yield the frames of an animation that differ, each as {corner, picture, times}: the part that changes, its first
 * pixel, which is even, and for how many frames it is shown.
 * @param shown for each patch the state in each frame.
 */
export function* partsOf(picture, patches, shown) {
  const count = shown[0].length;
  for (let start = 0; start < count;) {
    let end = start + 1;
    while (end < count && shown.every((states) => states[end] === states[start])) end++;
    let box = [0, 0, picture.width, picture.height];
    if (start) {
      const boxes = patches.filter((_, i) => shown[i][start] !== shown[i][start - 1]).map((patch) => patch.box);
      const least = (axis) => Math.floor(Math.min(...boxes.map((each) => each[axis])) / 2) * 2;
      const most = (axis) => Math.max(...boxes.map((each) => each[axis]));
      box = [least(0), least(1), most(2), most(3)];
    }
    const frame = show(
      picture,
      patches,
      shown.map((states) => states[start]),
    );
    yield { corner: [box[0], box[1]], picture: windowOf(frame, ...box), times: end - start };
    start = end;
  }
}
