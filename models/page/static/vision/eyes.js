// The eyes of an upright face, as a network paints them in each state: models/sampling/animation.py, with its blend `mask`.
//
// A patch is {box, frames}: a part of a picture, x0, y0, x1, y1 in whole px, half open, in each state of the eyes. In
// state 0 it is the picture as it is.

import { lumaOf, tintOf } from "./gray.js";
import { shrinkArea, resizeCubic } from "./opencv.js";
import { blank, toTensor, windowOf } from "./picture.js";
import { cutBox, regionBox } from "./region.js";
import { roundHalfEven } from "./rounding.js";

const EYE_MARGIN = 0.2; // of an eye's box, on every side, that may change, too
const FEATHER_SHARE = 0.12; // of a box: width of the fade at its border

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
