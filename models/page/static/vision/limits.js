// How large a picture the page takes: it holds several copies of one in memory.

export const MAX_PIXELS = 50_000_000; // of a picture that is given, and of one that is made
export const MAX_SIDE = 16_383; // px: of a canvas, and of WebP

/** Return whether the page has the memory for a picture of that size. */
export function fits({ width, height }) {
  return width * height <= MAX_PIXELS && Math.max(width, height) <= MAX_SIDE;
}

/** Return the largest scale, in steps of a tenth, at which what is made of a picture fits. */
export function largestScale({ width, height }) {
  const most = Math.min(Math.sqrt(MAX_PIXELS / (width * height)), MAX_SIDE / Math.max(width, height));
  return Math.floor(most * 10) / 10;
}
