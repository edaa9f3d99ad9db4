// A picture made larger with the network of TrainSRGAN or TrainESRGAN: models/upscaler.py.

import { fillTransparent } from "./transparency.js";
import { blank, channelsOf, put } from "./picture.js";
import { resize } from "./resample.js";
import { roundHalfEven } from "./rounding.js";
import { colorOf, enlargedStrips, resampledStrips } from "./tiles.js";

export const SHIPPED = "upscaler"; // the network among those that come with the program
export const MAX_SCALE = 16; // by two passes
const SIDE_PX = 192; // of what the network is shown at once
const MAX_LEVEL = 255;

/** Return {width, height} of a picture that is made larger. */
export function largeSize({ width, height }, scale) {
  return { width: Math.max(1, roundHalfEven(width * scale)), height: Math.max(1, roundHalfEven(height * scale)) };
}

/**
 * Return the larger picture, RGB or RGBA as it was. Alpha is resampled; under it the colours of what is seen go on. A
 * picture of one colour keeps it.
 * @param options.signal stops between two tiles; options.onProgress is called with the share done.
 */
export async function upscale(engine, picture, { scale = 4, side = SIDE_PX, signal, onProgress } = {}) {
  const { width, height } = largeSize(picture, scale);
  const made = blank(width, height, channelsOf(picture));
  const [colors, alpha] = separated(picture);
  const color = colorOf(colors);
  let top = 0;
  for await (const strip of color
    ? [plain(width, height, color)]
    : colorStrips(engine, colors, scale, side, signal, onProgress)) {
    if (alpha) putColors(made, toLevels(strip), top);
    else put(made, toLevels(strip), 0, top);
    top += strip.height;
  }
  if (alpha) putAlpha(made, resize(alpha, width, height, "bicubic"));
  return made;
}

async function* colorStrips(engine, colors, scale, side, signal, onProgress) {
  const [[main]] = Object.entries(engine.networks);
  const name = SHIPPED in engine.networks ? SHIPPED : main;
  const network = engine.networks[name];
  const tiling = { factor: network.scale, side, reach: network.reach };
  const enlarge = async (part) => {
    const high = await engine.run(name, { low: unitTensor(part) });
    return pixels(high.high);
  };
  const passes = scale > tiling.factor ? 2 : 1;
  let small = colors;
  if (passes === 2) {
    small = blank(tiling.factor * colors.width, tiling.factor * colors.height);
    let top = 0;
    const onTile = (done, total) => onProgress?.(done / total / (1 + tiling.factor ** 2));
    for await (const strip of enlargedStrips(colors, enlarge, tiling, { signal, onTile })) {
      put(small, toLevels(strip), 0, top);
      top += strip.height;
    }
  }
  const before = passes === 2 ? 1 / (1 + tiling.factor ** 2) : 0; // share of the work
  const onTile = (done, total) => onProgress?.(before + (1 - before) * (done / total));
  const strips = enlargedStrips(small, enlarge, tiling, { signal, onTile });
  const { width, height } = largeSize(colors, scale);
  const isSame = tiling.factor * small.width === width && tiling.factor * small.height === height;
  yield* isSame ? strips : resampledStrips(strips, tiling.factor * small.height, width, height);
}

/** Return an RGB picture as a tensor (1, 3, H, W) of 0 to 1. */
function unitTensor(picture) {
  const length = picture.width * picture.height;
  const data = new Float32Array(3 * length);
  for (let at = 0; at < length; at++)
    for (let channel = 0; channel < 3; channel++)
      data[channel * length + at] = picture.data[at * 3 + channel] / MAX_LEVEL;
  return { dims: [1, 3, picture.height, picture.width], data };
}

function pixels({ dims: [, , height, width], data }) {
  const made = blank(width, height, 3, Float32Array);
  const length = width * height;
  for (let at = 0; at < length; at++)
    for (let channel = 0; channel < 3; channel++) made.data[at * 3 + channel] = data[channel * length + at];
  return made;
}

function toLevels(strip) {
  const data = new Uint8ClampedArray(strip.data.length);
  for (let at = 0; at < data.length; at++) data[at] = strip.data[at] * MAX_LEVEL;
  return { ...strip, data };
}

function plain(width, height, color) {
  const strip = blank(width, height, 3, Float32Array);
  for (let at = 0; at < strip.data.length; at++) strip.data[at] = color[at % 3] / MAX_LEVEL;
  return strip;
}

/** Return [the colours as RGB, the alpha in floats of 0 to 255 or null]. */
function separated(picture) {
  if (channelsOf(picture) === 3) return [picture, null];
  const colors = blank(picture.width, picture.height);
  const alpha = blank(picture.width, picture.height, 1, Float32Array);
  for (let at = 0; at < alpha.data.length; at++) {
    for (let channel = 0; channel < 3; channel++) colors.data[at * 3 + channel] = picture.data[at * 4 + channel];
    alpha.data[at] = picture.data[at * 4 + 3];
  }
  return [fillTransparent(colors, alpha.data), alpha];
}

function putColors(made, strip, top) {
  let to = top * made.width * 4;
  for (let at = 0; at < strip.data.length; at += 3, to += 4)
    for (let channel = 0; channel < 3; channel++) made.data[to + channel] = strip.data[at + channel];
}

function putAlpha(made, alpha) {
  for (let at = 0; at < alpha.data.length; at++) made.data[at * 4 + 3] = alpha.data[at];
}
