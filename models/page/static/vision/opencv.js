// OpenCV's cv2.resize with INTER_AREA and INTER_CUBIC.

import { blank, channelsOf } from "./picture.js";

/** Return a picture in a smaller size: means of the areas that its pixels cover. Halves of even sides are rounded up. */
export function shrinkArea(picture, width, height) {
  const isHalf = picture.width === 2 * width && picture.height === 2 * height;
  const isWhole = !(picture.data instanceof Float32Array);
  const finish = isHalf && isWhole ? (mean) => Math.floor(mean + 0.5) : (mean) => mean;
  return weighted(picture, areaKernels(picture.width, width), areaKernels(picture.height, height), finish);
}

function areaKernels(length, size) {
  const scale = length / size;
  return Array.from({ length: size }, (_, at) => {
    const start = at * scale;
    const covered = Math.min(scale, length - start);
    const last = Math.min(Math.floor(start + scale), length - 1);
    const first = Math.min(Math.ceil(start), last);
    const places = [];
    const weights = [];
    if (first - start > 1e-3) (places.push(first - 1), weights.push((first - start) / covered));
    for (let place = first; place < last; place++) (places.push(place), weights.push(1 / covered));
    const rest = Math.min(start + scale - last, 1, covered);
    if (rest > 1e-3) (places.push(last), weights.push(rest / covered));
    return { places, weights };
  });
}

/** Return a picture in another size by a cubic filter, which is not antialiased. */
export function resizeCubic(picture, width, height) {
  return weighted(picture, cubicKernels(picture.width, width), cubicKernels(picture.height, height), (sum) => sum);
}

function cubicKernels(length, size) {
  return Array.from({ length: size }, (_, at) => {
    const place = ((at + 0.5) * length) / size - 0.5;
    const first = Math.floor(place);
    const places = [-1, 0, 1, 2].map((by) => Math.min(Math.max(first + by, 0), length - 1));
    return { places, weights: cubicWeights(place - first) };
  });
}

/** Return the weights of four neighbours of a place that lies `part` after the second one. */
export function cubicWeights(part) {
  const near = (x) => (1.25 * x - 2.25) * x * x + 1;
  const far = -0.75 * (((part + 1 - 5) * (part + 1) + 8) * (part + 1) - 4);
  return [far, near(part), near(1 - part), 1 - far - near(part) - near(1 - part)];
}

function weighted(picture, across, down, finish) {
  const channels = channelsOf(picture);
  const rows = blank(across.length, picture.height, channels, Float32Array);
  for (let y = 0, to = 0; y < picture.height; y++)
    for (const { places, weights } of across)
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let i = 0; i < places.length; i++)
          sum += picture.data[(y * picture.width + places[i]) * channels + channel] * weights[i];
        rows.data[to++] = sum;
      }
  const made = blank(across.length, down.length, channels, picture.data.constructor);
  const length = across.length * channels;
  down.forEach(({ places, weights }, y) => {
    for (let x = 0; x < length; x++) {
      let sum = 0;
      for (let i = 0; i < places.length; i++) sum += rows.data[places[i] * length + x] * weights[i];
      made.data[y * length + x] = finish(sum);
    }
  });
  return made;
}
