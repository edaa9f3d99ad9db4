// A face: the numbers that make it, {seed, noise, labels, moves}, and the picture that a network paints of them.
import { formatNumbers, parseNumber, parseNumbers } from "../address.js";
import { conditionOf } from "../labels.js";
import { latentOf } from "../latents.js";
import { toImage } from "../pictures.js";

export const MAX_MOVE = 3; // of an attribute; LearnAttributes measures up to 2

/** Return a face as parameters of the address. */
export function formatFace({ seed, noise, labels, moves }) {
  const parameters = new URLSearchParams({ seed });
  if (noise !== 1) parameters.set("noise", noise);
  const used = Object.fromEntries(Object.entries(moves).filter(([, amount]) => amount));
  if (Object.keys(labels).length) parameters.set("labels", formatNumbers(labels));
  if (Object.keys(used).length) parameters.set("moves", formatNumbers(used));
  return parameters;
}

/** Return the face that parameters stand for, as far as the run of a model.json has its labels and attributes. */
export function parseFace(parameters, described) {
  const known = (numbers, list, least, most) =>
    Object.fromEntries(
      (list ?? [])
        .filter(({ name }) => Object.hasOwn(numbers, name))
        .map(({ name }) => [name, Math.min(most, Math.max(least, numbers[name]))]),
    );
  return {
    seed: Math.round(parseNumber(parameters.get("seed"), 0, Number.MAX_SAFE_INTEGER, 0)),
    noise: parseNumber(parameters.get("noise"), 0, 1, 1),
    labels: known(parseNumbers(parameters.get("labels")), described.labels, 0, 1),
    moves: known(parseNumbers(parameters.get("moves")), described.attributes, -MAX_MOVE, MAX_MOVE),
  };
}

/** The network of an export that paints faces. */
export class Painter {
  constructor(opened) {
    this.opened = opened;
    [this.network] = Object.keys(opened.described.networks);
    const { inputs, outputs } = opened.described.networks[this.network];
    this.port = inputs[0];
    this.middle = outputs[0].middle;
    this.size = outputs[0].shape.at(-1);
    this.hasLabels = inputs.length > 1;
  }

  /** Return the network's inputs for a face: {z, labels}; labels are null of a network without. */
  inputs({ seed, noise, labels, moves }) {
    const { described } = this.opened;
    return {
      z: latentOf(seed, noise, moves, this.port, described.attributes ?? []),
      labels: this.hasLabels ? conditionOf(described, labels, seed) : null,
    };
  }

  /** Return a promise of the ImageData that the network paints. */
  async paint({ z, labels }) {
    const feeds = { z: { data: z, dims: [1, z.length] } };
    if (labels) feeds.labels = { data: labels, dims: [1, labels.length] };
    const outputs = await this.opened.run(this.network, feeds);
    return toImage(Object.values(outputs)[0], this.middle);
  }

  /** Return the texts for a PNG file of a face, as GenerateFaces writes them. */
  texts(face) {
    const { described } = this.opened;
    const { labels } = this.inputs(face);
    const given = labels
      ? described.labels.map(({ name }, index) => [name, labels[index]]).filter(([, weight]) => weight)
      : [];
    return {
      run: described.run,
      weights: described.weights,
      seed: String(face.seed),
      condition: given.length ? formatNumbers(Object.fromEntries(given)) : "none",
    };
  }
}
