// GIF files, by gifenc, with a comment: the recipe.
import { withComment } from "./gif_comments.js";
import { applyPalette, GIFEncoder, quantize } from "./runtime/gifenc.js";

const COLORS = 256;

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
