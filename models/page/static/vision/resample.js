// Pillow's Image.resize: the same filters, in whole numbers for whole levels and else in floats, to the bit.

import { blank, channelsOf } from "./picture.js";

const PRECISION_BITS = 22; // of the weights of whole levels

const FILTERS = {
  bicubic: {
    support: 2,
    weight(x) {
      const at = Math.abs(x);
      if (at < 1) return (1.5 * at - 2.5) * at * at + 1;
      return at < 2 ? (((at - 5) * at + 8) * at - 4) * -0.5 : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/**
 * Return a picture in another size, by the filter bicubic or lanczos, which is antialiased. Of RGBA the alpha should
 * be resampled apart.
 * @param box x0, y0, x1, y1 of the part that is taken, which may be between pixels.
 */
export function resize(picture, width, height, filter, box = [0, 0, picture.width, picture.height]) {
  const [x0, y0, x1, y1] = box.map(Math.fround);
  const isWhole = !x0 && !y0 && x1 === picture.width && y1 === picture.height;
  if (isWhole && width === picture.width && height === picture.height)
    return { ...picture, data: picture.data.slice() };
  const across = kernels(picture.width, x0, x1, width, FILTERS[filter]);
  const down = kernels(picture.height, y0, y1, height, FILTERS[filter]);
  const first = down[0].first;
  const last = down[height - 1].first + down[height - 1].weights.length;
  const rows = width !== picture.width || x0 || x1 !== width ? horizontal(picture, across, first, last) : picture;
  const top = rows === picture ? 0 : first;
  return height !== picture.height || y0 || y1 !== height ? vertical(rows, down, top) : rows;
}

/** Return for each of `size` pixels made the first one that it is made of, and the weights of those that follow. */
function kernels(length, start, end, size, { support, weight }) {
  const scale = Math.fround(end - start) / size;
  const stretch = Math.max(scale, 1);
  const made = [];
  for (let at = 0; at < size; at++) {
    const center = start + (at + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support * stretch + 0.5));
    const last = Math.min(length, Math.trunc(center + support * stretch + 0.5));
    const weights = Float64Array.from({ length: last - first }, (_, i) => weight((i + first - center + 0.5) / stretch));
    const sum = weights.reduce((total, each) => total + each, 0);
    made.push({ first, weights: sum ? weights.map((each) => each / sum) : weights });
  }
  return made;
}

/** Return the weights as they are used for levels of that kind, and what is made of a sum of weighted levels. */
function arithmetic(levels, weights) {
  if (levels instanceof Float32Array) return [weights, (sum) => sum];
  const whole = weights.map((each) => Math.trunc(each * (1 << PRECISION_BITS) + (each < 0 ? -0.5 : 0.5)));
  return [whole, (sum) => (sum + (1 << (PRECISION_BITS - 1))) >> PRECISION_BITS];
}

function horizontal(picture, across, first, last) {
  const channels = channelsOf(picture);
  const made = blank(across.length, last - first, channels, picture.data.constructor);
  for (let x = 0; x < across.length; x++) {
    const [weights, finish] = arithmetic(picture.data, across[x].weights);
    for (let y = first; y < last; y++) {
      const from = (y * picture.width + across[x].first) * channels;
      const to = ((y - first) * made.width + x) * channels;
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let i = 0, at = from + channel; i < weights.length; i++, at += channels)
          sum += picture.data[at] * weights[i];
        made.data[to + channel] = finish(sum);
      }
    }
  }
  return made;
}

function vertical(picture, down, top) {
  const channels = channelsOf(picture);
  const made = blank(picture.width, down.length, channels, picture.data.constructor);
  const length = picture.width * channels;
  const sums = new Float64Array(length);
  for (let y = 0; y < down.length; y++) {
    const [weights, finish] = arithmetic(picture.data, down[y].weights);
    sums.fill(0);
    for (let i = 0; i < weights.length; i++) {
      const from = (down[y].first - top + i) * length;
      for (let x = 0; x < length; x++) sums[x] += picture.data[from + x] * weights[i];
    }
    for (let x = 0; x < length; x++) made.data[y * length + x] = finish(sums[x]);
  }
  return made;
}

/** Return means of squares of `factor` px a side, of fewer at the right and lower edge: Pillow's Image.reduce. */
export function reduce(picture, factor) {
  const channels = channelsOf(picture);
  const made = blank(Math.ceil(picture.width / factor), Math.ceil(picture.height / factor), channels);
  for (let y = 0, to = 0; y < made.height; y++) {
    const bottom = Math.min(picture.height, (y + 1) * factor);
    for (let x = 0; x < made.width; x++) {
      const right = Math.min(picture.width, (x + 1) * factor);
      const count = (bottom - y * factor) * (right - x * factor);
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let row = y * factor; row < bottom; row++)
          for (let column = x * factor; column < right; column++)
            sum += picture.data[(row * picture.width + column) * channels + channel];
        made.data[to++] = Math.floor(((sum + (count >> 1)) * Math.trunc(2 ** 24 / count)) / 2 ** 24);
      }
    }
  }
  return made;
}
