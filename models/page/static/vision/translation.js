// Faces turned into another domain by the networks of TrainUGATIT or TrainStarGAN2: models/translators.py.
//
// An engine has all of the run's model.json, and run. Domains are numbers, in the order of its `domains`.

import { cropFace, viewOfCrop } from "./crop.js";
import { fromTensor, toTensor } from "./picture.js";
import { resize } from "./resample.js";

const LUMA = [0.299, 0.587, 0.114].map(Math.fround);

/** Return whether a translation has a style besides its domain. */
export function hasStyles(engine) {
  return "mapping" in engine.networks;
}

/** Return how the faces of a domain were cut that the run was trained on: what `cropFace` takes. */
export function cuttingOf(engine, domain) {
  const datasets = Object.values(engine.datasets);
  const own = datasets.find(({ name }) => name === engine.domains[domain].name) ?? datasets[0];
  const [boxScale, rotation, x, y] = [own.box_scale ?? 1, own.rotation ?? 0, own.face_x ?? 0.5, own.face_y ?? 0.5].map(
    asGiven,
  );
  return { size: own.size ?? sideOf(engine), boxScale, rotation, offset: [x - 0.5, y - 0.5] };
}

/** Return a number as it was given, from its value in 32 bits: 1.2999999523162842 -> 1.3. */
function asGiven(value) {
  for (let digits = 1; digits < 10; digits++) {
    const given = Number(value.toPrecision(digits));
    if (Math.fround(given) === Math.fround(value)) return given;
  }
  return value;
}

/** Return the side of the pictures of a run, px. */
export function sideOf(engine) {
  return Object.values(engine.networks)[0].inputs[0].shape[2];
}

/** Return the crop round a face of an RGB picture as the networks are shown those of a domain. */
export async function cutFace(engine, picture, face, domain) {
  const side = sideOf(engine);
  const crop = resize(cropFace(picture, face, cuttingOf(engine, domain)), side, side, "lanczos");
  return hasStyles(engine) ? recolored(engine, toTensor([crop], middleOf(engine)), domain) : crop;
}

/** Return which part of a picture that crop shows, as a view. */
export function viewOfFace(engine, face, domain) {
  return viewOfCrop(face, { ...cuttingOf(engine, domain), size: sideOf(engine) });
}

/** Return the style tensor of z, numbers of N(0, 1), in a domain. */
export async function drawnStyle(engine, z, target) {
  const feeds = { z: { dims: [1, z.length], data: Float32Array.from(z) }, domain: oneHot(engine, target) };
  return (await engine.run("mapping", feeds)).style;
}

/** Return the style tensor of a crop, cut as those of its domain are. */
export async function readStyle(engine, crop, target) {
  const feeds = { picture: toTensor([crop], middleOf(engine)), domain: oneHot(engine, target) };
  return (await engine.run("style_encoder", feeds)).style;
}

/** Return the share `at`, 0 to 1, of the way from one style to another. */
export function betweenStyles(first, second, at) {
  return { dims: first.dims, data: first.data.map((number, i) => number + at * (second.data[i] - number)) };
}

/** Return a crop in the domain `target`, in a style if the run has them. */
export async function translate(engine, crop, target, style) {
  const picture = toTensor([crop], middleOf(engine));
  if (hasStyles(engine)) {
    const { translation } = await engine.run("generator", { picture, style });
    return recolored(engine, translation, target);
  }
  const { translation } = await engine.run(target ? "a2b" : "b2a", { picture });
  return fromTensor(translation, middleOf(engine))[0];
}

function middleOf(engine) {
  return Object.values(engine.networks)[0].inputs[0].middle;
}

function oneHot(engine, domain) {
  return { dims: [1, engine.domains.length], data: Float32Array.from(engine.domains, (_, i) => Number(i === domain)) };
}

/** Return the picture of a tensor (1, 3, H, W), grey if its domain is. */
function recolored(engine, tensor, domain) {
  if (engine.domains[domain].gray) {
    const { data } = tensor;
    const length = data.length / 3;
    for (let at = 0; at < length; at++) {
      const luminance = LUMA.reduce((sum, share, channel) => sum + share * data[channel * length + at], 0);
      for (let channel = 0; channel < 3; channel++) data[channel * length + at] = luminance;
    }
  }
  return fromTensor(tensor, middleOf(engine))[0];
}
