// A picture made larger by a network that sees a part of it at a time: models/sampling/tiles.py.
//
// A tiling is {factor, side, reach}: how many times larger the network's output is; px of the largest part that it is
// shown; px from which on others do not change a pixel. Strips are parts of the large picture, of its width, from its
// top to its bottom, in floats.

import { blank, channelsOf, windowOf } from "./picture.js";
import { resize } from "./resample.js";

const FADE = 4; // px on both sides of a seam over which two tiles are mixed

/** Return the px from one tile to the next. */
export function stepOf({ side, reach }) {
  const step = side - 2 * (reach + FADE);
  if (step < 2 * FADE) throw new RangeError(`a side of ${side} px has no room for borders of ${reach + FADE} px`);
  return step;
}

/**
 * Yield the strips of the large picture. A tile of one colour is made of one pixel, once for each colour.
 * @param enlarge (a part of the picture) -> the large part, in floats.
 * @param onTile called after each tile with (how many are done, how many there are).
 */
export async function* enlargedStrips(picture, enlarge, tiling, { signal, onTile } = {}) {
  const { factor } = tiling;
  const { width, height } = picture;
  const step = stepOf(tiling);
  const channels = channelsOf(picture);
  const line = factor * width * channels;
  const total = Math.ceil(height / step) * Math.ceil(width / step);
  const flat = new Map();
  let mixed = new Float32Array(0); // rows at the top to which the next tiles add
  let count = 0;
  for (let top = 0; top < height; top += step) {
    const down = weightsOf(top, height, tiling, step);
    const strip = blank(factor * width, factor * (down.last - down.first), channels, Float32Array);
    strip.data.set(mixed);
    for (let left = 0; left < width; left += step) {
      signal?.throwIfAborted();
      const across = weightsOf(left, width, tiling, step);
      add(strip, await tileOf(picture, across, down, enlarge, tiling, flat), across, down, factor);
      onTile?.(++count, total);
    }
    const isLast = top + step >= height;
    const done = isLast ? strip.height : factor * (top + step - FADE - down.first);
    mixed = strip.data.slice(done * line);
    yield { width: strip.width, height: done, data: strip.data.subarray(0, done * line) };
  }
}

/** Return {first, last, weights}: the px of the tile that begins at `start`, in one direction, and how much each of
 * those made of them counts. */
function weightsOf(start, length, { factor }, step) {
  const end = start + step;
  const [first, last] = [Math.max(0, start - FADE), Math.min(length, end + FADE)];
  const ramp = (at) => Math.min(Math.max(at / (2 * FADE) + 0.5, 0), 1);
  const weights = Float32Array.from({ length: factor * (last - first) }, (_, i) => {
    const at = first + (i + 0.5) / factor;
    return (start ? ramp(at - start) : 1) * (end < length ? ramp(end - at) : 1);
  });
  return { first, last, weights };
}

async function tileOf(picture, across, down, enlarge, { factor, reach }, flat) {
  const part = windowOf(picture, across.first - reach, down.first - reach, across.last + reach, down.last + reach);
  const color = colorOf(part);
  if (!color) return inside(await enlarge(part), factor * reach);
  const key = color.join();
  if (!flat.has(key)) {
    const surroundings = windowOf(part, 0, 0, 2 * reach + 1, 2 * reach + 1);
    flat.set(key, inside(await enlarge(surroundings), factor * reach));
  }
  return repeated(flat.get(key), across.last - across.first, down.last - down.first);
}

/** Return the levels of a picture of one colour; null if it has several. */
export function colorOf(picture) {
  const channels = channelsOf(picture);
  for (let at = channels; at < picture.data.length; at++)
    if (picture.data[at] !== picture.data[at % channels]) return null;
  return picture.data.slice(0, channels);
}

function inside(picture, border) {
  return windowOf(picture, border, border, picture.width - border, picture.height - border);
}

function repeated(picture, columns, rows) {
  const channels = channelsOf(picture);
  const made = blank(columns * picture.width, rows * picture.height, channels, Float32Array);
  const line = picture.width * channels;
  for (let at = 0, row = 0; at < made.data.length; at += line) {
    made.data.set(picture.data.subarray(row * line, (row + 1) * line), at);
    if ((at / line) % columns === columns - 1) row = (row + 1) % picture.height;
  }
  return made;
}

function add(strip, tile, across, down, factor) {
  const channels = channelsOf(strip);
  for (let y = 0, from = 0; y < tile.height; y++) {
    let to = (y * strip.width + factor * across.first) * channels;
    for (let x = 0; x < tile.width; x++) {
      const weight = down.weights[y] * across.weights[x];
      for (let channel = 0; channel < channels; channel++) strip.data[to++] += weight * tile.data[from++];
    }
  }
}

/** Yield the strips of a picture of width × height px in another size, by the antialiased bicubic filter. */
export async function* resampledStrips(strips, height, newWidth, newHeight) {
  const ratio = height / newHeight;
  const support = 2 * Math.max(1, ratio) + 1;
  let kept = null;
  let [top, done] = [0, 0];
  for await (const strip of strips) {
    kept = kept ? stacked(kept, strip) : strip;
    const end = top + kept.height;
    const ready = end === height ? newHeight : Math.trunc((end - support) / ratio);
    if (ready <= done) continue;
    yield rowsOf(kept, top, ratio, newWidth, done, ready);
    done = ready;
    const unneeded = Math.max(0, Math.trunc(done * ratio - support) - top);
    kept = rowsFrom(kept, unneeded);
    top += unneeded;
  }
}

function stacked(upper, lower) {
  const made = { width: upper.width, height: upper.height + lower.height };
  made.data = new Float32Array(upper.data.length + lower.data.length);
  made.data.set(upper.data);
  made.data.set(lower.data, upper.data.length);
  return made;
}

function rowsFrom(picture, first) {
  const line = picture.width * channelsOf(picture);
  return { width: picture.width, height: picture.height - first, data: picture.data.slice(first * line) };
}

/** Return the rows `start` to `end` of a resampled picture, of which the strip begins at `top`. */
function rowsOf(strip, top, ratio, newWidth, start, end) {
  const box = [0, start * ratio - top, strip.width, Math.min(end * ratio - top, strip.height)];
  return resize(strip, newWidth, end - start, "bicubic", box);
}
