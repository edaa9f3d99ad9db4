// GIFs of the parts of an animation, written with gifenc.

import { withComment } from "../gif_comments.js";
import { GIFEncoder, applyPalette, quantize } from "../runtime/gifenc.js";
import { channelsOf } from "./picture.js";
import { timed } from "./timing.js";

const COLORS = 255; // and one that is clear
const CLEAR = 255;
const OPAQUE = 128; // alpha from which a pixel is opaque
const SAMPLE_PX = 1 << 18; // that the palette is made from
const PALETTE_PARTS = 8;

/**
 * Return a GIF file that runs forever, in the 255 colours that suit its first frames, with a comment.
 * @param parts [{corner, picture, times}], of `partsOf`.
 */
export function gifOf(parts, fps, comment) {
  const [{ picture }] = parts;
  const { width, height } = picture;
  const palette = quantize(sample(parts.slice(0, PALETTE_PARTS)), COLORS);
  while (palette.length < COLORS) palette.push([0, 0, 0]);
  const colors = [...palette.slice(0, COLORS), [0, 0, 0]];
  const encoder = GIFEncoder();
  const shown = new Uint8Array(width * height).fill(CLEAR);
  for (const [number, { part, ticks }] of [...timed(parts, fps, 100)].entries()) {
    const frame = changedPixels(part, palette, shown, width, height);
    const first = number === 0 ? { palette: colors, repeat: 0 } : {};
    encoder.writeFrame(frame, width, height, {
      ...first,
      delay: 10 * ticks,
      transparent: true,
      transparentIndex: CLEAR,
      dispose: 1,
    });
  }
  encoder.finish();
  return withComment(encoder.bytes(), comment);
}

/** Return the numbers of the colours of a whole frame, CLEAR where it shows what was there before; `shown` becomes it. */
function changedPixels({ corner: [left, top], picture }, palette, shown, width, height) {
  const rgba = asRgba(picture);
  const numbers = applyPalette(rgba, palette);
  const frame = new Uint8Array(width * height).fill(CLEAR);
  for (let y = 0, from = 0; y < picture.height; y++)
    for (let x = 0; x < picture.width; x++, from++) {
      const at = (top + y) * width + left + x;
      if (rgba[4 * from + 3] < OPAQUE || numbers[from] === shown[at]) continue;
      frame[at] = shown[at] = numbers[from];
    }
  return frame;
}

function asRgba(picture) {
  if (channelsOf(picture) === 4) return new Uint8Array(picture.data);
  const rgba = new Uint8Array((picture.data.length / 3) * 4).fill(255);
  for (let from = 0, to = 0; from < picture.data.length; from += 3, to += 4)
    rgba.set(picture.data.subarray(from, from + 3), to);
  return rgba;
}

/** Return pixels of the parts, opaque ones, about SAMPLE_PX. */
function sample(parts) {
  const rgba = parts.map(({ picture }) => asRgba(picture));
  const total = rgba.reduce((sum, data) => sum + data.length / 4, 0);
  const step = Math.max(1, Math.floor(total / SAMPLE_PX)) * 4;
  const kept = [];
  for (const data of rgba)
    for (let at = 0; at < data.length; at += step) if (data[at + 3] >= OPAQUE) kept.push(...data.subarray(at, at + 4));
  return Uint8Array.from(kept.length ? kept : [0, 0, 0, 255]);
}
