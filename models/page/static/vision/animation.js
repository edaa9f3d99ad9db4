// A face that blinks: what a network paints of its eyes, put into the picture's own pixels. models/sampling/animation.py,
// with its blend `mask`.
//
// A patch is {box, frames}: a part of a picture, x0, y0, x1, y1 in whole px, half open, in each state of the eyes. In
// state 0 it is the picture as it is.

import { lumaOf, tintOf } from "./gray.js";
import { shrinkArea, resizeCubic } from "./opencv.js";
import { onAlpha, bounds, shifted } from "./pasting.js";
import { blank, channelsOf, put, toTensor, windowOf } from "./picture.js";
import { cutBox, regionBox } from "./region.js";
import { roundHalfEven } from "./rounding.js";
import { inverse, warp } from "./warp.js";

const EYE_MARGIN = 0.2; // of an eye's box, on every side, that may change, too
const FEATHER_SHARE = 0.12; // of a box: width of the fade at its border
const SOFT_PX = 2; // in a turned face, at the border of what changes

/**
 * Return the patches of an upright crop: the eyes that have a box.
 * @param eyes {crop, face, left, right, openness}: boxes in px of the crop, null for an eye that is hidden.
 * @param states how far the eyes are open in each state, of what they are: 1 as they are, 0 closed.
 */
export async function animateEyes(engine, eyes, states) {
  const network = engine.networks.blink;
  const [{ middle, shape }] = network.inputs;
  const [height, width] = shape.slice(-2);
  const region = wholeBox(regionBox(network.region, eyes.face, eyes.left, eyes.right));
  const [columns, rows] = [region[2] - region[0], region[3] - region[1]];
  const openness = states.map((state) => state * eyes.openness);
  const { painted, mask } = await paint(engine, cutBox(eyes.crop, region, width, height), openness, middle);
  const inside = cutBox(eyes.crop, region, columns, rows);
  const tint = tintOf(inside);
  const frames = painted.map((picture, state) => pasted(inside, tint ? tinted(picture, tint) : picture, mask[state]));
  return changingBoxes(network.region, region, eyes).map((box) => {
    const part = (picture, [left, top] = [0, 0]) =>
      windowOf(picture, box[0] - left, box[1] - top, box[2] - left, box[3] - top);
    const own = part(eyes.crop);
    return { box, frames: [own, ...frames.slice(1).map((frame) => feathered(own, part(frame, region)))] };
  });
}

/** Return {painted: what is painted over the region, levels; mask: how much, 0 to 1}, a picture for each state. */
async function paint(engine, still, openness, middle) {
  const { width, height } = still;
  const count = openness.length;
  const outputs = await engine.run("blink", {
    picture: toTensor([still], middle),
    flow: { dims: [1, count, 2, height, width], data: new Float32Array(count * 2 * height * width) },
    openness: { dims: [1, count], data: Float32Array.from(openness) },
  });
  const level = (number) => Math.min(Math.max(number * middle + middle, 0), 255);
  return { painted: framesOf(outputs.painted, level), mask: framesOf(outputs.mask, (share) => share) };
}

function framesOf({ dims: [, count, channels, height, width], data }, level) {
  const length = height * width;
  return Array.from({ length: count }, (_, number) => {
    const frame = blank(width, height, channels, Float32Array);
    for (let channel = 0; channel < channels; channel++)
      for (let at = 0; at < length; at++)
        frame.data[at * channels + channel] = level(data[(number * channels + channel) * length + at]);
    return frame;
  });
}

/** Return the region with what is painted, over its own pixels, as much as the mask says. */
function pasted(inside, painted, mask) {
  const { width, height } = inside;
  const covered = { ...painted, data: painted.data.map((level, at) => level * mask.data[Math.floor(at / 3)]) };
  const cover = scaled(mask, width, height);
  const added = scaled(covered, width, height);
  const made = blank(width, height);
  for (let at = 0; at < made.data.length; at++) {
    const share = Math.min(Math.max(cover.data[Math.floor(at / 3)], 0), 1);
    made.data[at] = inside.data[at] + added.data[at] - share * inside.data[at];
  }
  return made;
}

function scaled(picture, width, height) {
  return width < picture.width ? shrinkArea(picture, width, height) : resizeCubic(picture, width, height);
}

function tinted(picture, tint) {
  const data = picture.data.map((_, at) => {
    const from = at - (at % 3);
    return lumaOf(picture.data[from], picture.data[from + 1], picture.data[from + 2]) + tint[at % 3];
  });
  return { ...picture, data };
}

/** Return a frame that fades into the picture along a cosine, over FEATHER_SHARE of the box. */
function feathered(own, frame) {
  const { width, height } = own;
  const [across, down] = [rampOf(width), rampOf(height)];
  const made = blank(width, height);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let channel = 0; channel < 3; channel++, at++)
        made.data[at] = own.data[at] + Math.min(across[x], down[y]) * (frame.data[at] - own.data[at]);
  return made;
}

function rampOf(length) {
  return Float32Array.from({ length }, (_, at) => {
    const depth = Math.min(at, length - 1 - at) + 0.5;
    return 0.5 - 0.5 * Math.cos(Math.PI * Math.min(depth / Math.max(1, FEATHER_SHARE * length), 1));
  });
}

/** Return the box in whole pixels, with the proportions of its sides. */
function wholeBox([x0, y0, x1, y1]) {
  const [left, top] = [roundHalfEven(x0), roundHalfEven(y0)];
  const width = Math.max(2, 2 * roundHalfEven((x1 - x0) / 2));
  return [left, top, left + width, top + Math.max(1, roundHalfEven((width * (y1 - y0)) / (x1 - x0)))];
}

/** Return the boxes that may change, within the region and the crop. */
function changingBoxes(kind, region, { crop, left, right }) {
  let boxes = [region];
  if (kind === "eyes") {
    boxes = [left, right]
      .filter(Boolean)
      .map(grown)
      .sort((a, b) => a[0] - b[0]);
    if (boxes.length === 2 && boxes[0][2] > boxes[1][0]) {
      const middle = (boxes[0][2] + boxes[1][0]) / 2;
      boxes = [boxes[0].with(2, middle), boxes[1].with(0, middle)];
    }
  }
  const clipped = boxes.map((box) =>
    box.map((end, axis) =>
      axis < 2
        ? Math.max(0, roundHalfEven(region[axis]), roundHalfEven(end))
        : Math.min(axis === 2 ? crop.width : crop.height, roundHalfEven(region[axis]), roundHalfEven(end)),
    ),
  );
  return clipped.filter(([x0, y0, x1, y1]) => x0 < x1 && y0 < y1);
}

function grown([x0, y0, x1, y1]) {
  const [right, down] = [EYE_MARGIN * (x1 - x0), EYE_MARGIN * (y1 - y0)];
  return [x0 - right, y0 - down, x1 + right, y1 + down];
}

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
