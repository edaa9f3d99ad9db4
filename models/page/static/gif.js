// GIF files, by gifenc, with a comment: the recipe.
import { applyPalette, GIFEncoder, quantize } from "./runtime/gifenc.js";

const MAX_BLOCK = 255; // bytes
const COLORS = 256;
const FLAGS = 10; // where a GIF says how many colours follow its head

/** Return a GIF file of ImageData of one size that repeats forever; `delay` of each in ms. */
export function toGif(images, delay, comment) {
  const encoder = GIFEncoder();
  for (const { data, width, height } of images) {
    const palette = quantize(data, COLORS);
    encoder.writeFrame(applyPalette(data, palette), width, height, { palette, delay, repeat: 0 });
  }
  encoder.finish();
  return withComment(encoder.bytes(), comment);
}

/** Return a GIF file with a comment before its pictures. */
export function withComment(bytes, comment) {
  const flags = bytes[FLAGS];
  const start = FLAGS + 3 + (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0); // after the colours
  return new Blob([bytes.subarray(0, start), commentBlock(comment), bytes.subarray(start)], { type: "image/gif" });
}

/** Return a comment extension: blocks of 255 bytes at most, each after its length. */
function commentBlock(comment) {
  const text = new TextEncoder().encode(comment);
  const parts = [0x21, 0xfe];
  for (let at = 0; at < text.length; at += MAX_BLOCK) {
    const part = text.subarray(at, at + MAX_BLOCK);
    parts.push(part.length, ...part);
  }
  return Uint8Array.from([...parts, 0]);
}
