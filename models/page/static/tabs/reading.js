// A file that the reader of the page gives, as a picture.
import { Failure } from "../failure.js";
import { fits, MAX_PIXELS, MAX_SIDE } from "../vision/limits.js";
import { isTransparent, withoutAlpha } from "../vision/picture.js";

/**
 * Return a promise of {name, picture, digest, isAnimated}: the pixels, turned as EXIF says, RGBA if any is transparent
 * and else RGB; the first digits of the file's SHA-256, "" on plain http. Fail if it cannot be read, or is too large.
 */
export async function readPicture(file) {
  const size = await sizeOf(file);
  if (!fits(size)) {
    throw new Failure("tooLarge", { file: file.name, ...size, most: MAX_PIXELS / 1e6, side: MAX_SIDE });
  }
  const pixels = await decode(file);
  const picture = isTransparent(pixels) ? pixels : withoutAlpha(pixels);
  return { name: file.name, picture, digest: await digestOf(file), isAnimated: await isAnimated(file) };
}

/** Return the size of a picture, which is not decoded for it. */
async function sizeOf(file) {
  const address = URL.createObjectURL(file);
  const image = new Image();
  image.src = address;
  try {
    await new Promise((resolve, reject) => Object.assign(image, { onload: resolve, onerror: reject }));
    if (!image.naturalWidth || !image.naturalHeight) throw new Error("no size");
    return { width: image.naturalWidth, height: image.naturalHeight };
  } catch {
    throw new Failure("notAPicture", { file: file.name });
  } finally {
    URL.revokeObjectURL(address);
  }
}

async function decode(file) {
  try {
    const bitmap = await createImageBitmap(file);
    const { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    const { data } = context.getImageData(0, 0, width, height);
    return { width, height, data };
  } catch {
    throw new Failure("notAPicture", { file: file.name });
  }
}

async function digestOf(file) {
  if (!crypto.subtle) return "";
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return Array.from(sum.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function isAnimated(file) {
  if (!("ImageDecoder" in self)) return false;
  try {
    const decoder = new ImageDecoder({ data: file.stream(), type: file.type });
    await decoder.tracks.ready;
    const { animated } = decoder.tracks.selectedTrack;
    decoder.close();
    return animated;
  } catch {
    return false; // a kind that it does not know
  }
}
