// GIF files, by gifenc, with a comment: the recipe.
import { applyPalette, GIFEncoder, quantize } from "./runtime/gifenc.js";

const MAX_BLOCK = 255; // bytes
const COLORS = 256;

/** Return a GIF file of ImageData of one size that repeats forever; `delay` of each in ms. */
export function toGif(images, delay, comment) {
  const encoder = GIFEncoder();
  for (const { data, width, height } of images) {
    const palette = quantize(data, COLORS);
    encoder.writeFrame(applyPalette(data, palette), width, height, { palette, delay, repeat: 0 });
  }
  encoder.finish();
  const bytes = encoder.bytes();
  return new Blob([bytes.subarray(0, -1), commentBlock(comment), bytes.subarray(-1)], { type: "image/gif" });
}

/** Return a comment extension: blocks of 255 bytes at most, each after its length. */
export function commentBlock(comment) {
  const text = new TextEncoder().encode(comment);
  const parts = [0x21, 0xfe];
  for (let at = 0; at < text.length; at += MAX_BLOCK) {
    const part = text.subarray(at, at + MAX_BLOCK);
    parts.push(part.length, ...part);
  }
  return Uint8Array.from([...parts, 0]);
}
