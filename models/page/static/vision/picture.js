// Pictures: {width, height, data}, the channels of a pixel side by side, rows from the top: an ImageData is one, too.
//
// Levels are 0 to 255. A Uint8ClampedArray rounds halves to the even number, as NumPy and OpenCV do. Functions that
// take RGB refuse nothing: see `onWhite`. Tensors are {dims, data}: what a network takes and returns.

/** Return an empty picture. */
export function blank(width, height, channels = 3, Levels = Uint8ClampedArray) {
  return { width, height, data: new Levels(width * height * channels) };
}

/** Return how many numbers a pixel has. */
export function channelsOf(picture) {
  return picture.data.length / (picture.width * picture.height);
}

/** Return RGBA on white as RGB, rounded as Pillow's alpha_composite does; RGB as it is. */
export function onWhite(picture) {
  if (channelsOf(picture) === 3) return picture;
  const made = blank(picture.width, picture.height);
  for (let from = 0, to = 0; from < picture.data.length; from += 4, to += 3) {
    const share = picture.data[from + 3] * 128;
    for (let channel = 0; channel < 3; channel++) {
      const sum = picture.data[from + channel] * share + 255 * (255 * 128 - share) + 0x4000;
      made.data[to + channel] = ((sum >> 8) + sum) >> 15;
    }
  }
  return made;
}

/** Return whether a pixel of RGBA is not opaque. */
export function isTransparent(picture) {
  if (channelsOf(picture) !== 4) return false;
  for (let at = 3; at < picture.data.length; at += 4) if (picture.data[at] < 255) return true;
  return false;
}

/** Return the part between x0, y0 and x1, y1, which may lie beyond the edge: its pixels are repeated there. */
export function windowOf(picture, x0, y0, x1, y1) {
  const channels = channelsOf(picture);
  const made = blank(x1 - x0, y1 - y0, channels, picture.data.constructor);
  for (let y = y0, to = 0; y < y1; y++) {
    const row = clip(y, picture.height) * picture.width;
    for (let x = x0; x < x1; x++) {
      const from = (row + clip(x, picture.width)) * channels;
      for (let channel = 0; channel < channels; channel++) made.data[to++] = picture.data[from + channel];
    }
  }
  return made;
}

function clip(at, length) {
  return Math.min(Math.max(at, 0), length - 1);
}

/** Write a part of a picture into it, with its top left corner at x, y. */
export function put(picture, part, x, y) {
  const channels = channelsOf(picture);
  const length = part.width * channels;
  for (let row = 0; row < part.height; row++) {
    const line = part.data.subarray(row * length, (row + 1) * length);
    picture.data.set(line, ((y + row) * picture.width + x) * channels);
  }
}

/** Return the mirror image. */
export function mirrored(picture) {
  const channels = channelsOf(picture);
  const made = blank(picture.width, picture.height, channels, picture.data.constructor);
  for (let at = 0, to = 0; at < picture.data.length; at += picture.width * channels)
    for (let x = picture.width - 1; x >= 0; x--)
      for (let channel = 0; channel < channels; channel++) made.data[to++] = picture.data[at + x * channels + channel];
  return made;
}

/** Return pictures of one size as a tensor (N, C, H, W), of which 0 is the level `middle` and -1 is black. */
export function toTensor(pictures, middle) {
  const [{ width, height }] = pictures;
  const channels = channelsOf(pictures[0]);
  const data = new Float32Array(pictures.length * channels * width * height);
  let to = 0;
  for (const picture of pictures)
    for (let channel = 0; channel < channels; channel++)
      for (let at = channel; at < picture.data.length; at += channels)
        data[to++] = (picture.data[at] - middle) / middle;
  return { dims: [pictures.length, channels, height, width], data };
}

/** Return the pictures of a tensor (N, C, H, W), rounded and clipped; with Levels Float32Array as they are. */
export function fromTensor({ dims, data }, middle, Levels = Uint8ClampedArray) {
  const [count, channels, height, width] = dims;
  const pictures = [];
  for (let number = 0, from = 0; number < count; number++) {
    const picture = blank(width, height, channels, Levels);
    for (let channel = 0; channel < channels; channel++)
      for (let at = channel; at < picture.data.length; at += channels)
        picture.data[at] = Math.fround(Math.fround(data[from++] * middle) + middle);
    pictures.push(picture);
  }
  return pictures;
}

/** Return RGBA without its alpha. */
export function withoutAlpha({ width, height, data }) {
  const made = blank(width, height);
  for (let from = 0, to = 0; to < made.data.length; from += 4, to += 3)
    for (let channel = 0; channel < 3; channel++) made.data[to + channel] = data[from + channel];
  return made;
}

/** Return a picture with an alpha channel: what an ImageData is made of. */
export function withAlphaChannel(picture) {
  if (channelsOf(picture) === 4) return picture;
  const made = blank(picture.width, picture.height, 4);
  for (let from = 0, to = 0; from < picture.data.length; from += 3, to += 4) {
    for (let channel = 0; channel < 3; channel++) made.data[to + channel] = picture.data[from + channel];
    made.data[to + 3] = 255;
  }
  return made;
}
