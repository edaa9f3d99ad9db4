// z of a face, from its seed and its sliders, and lines between two: models/sampling/latents.py and attributes.py.
import { Random } from "./seeds.js";

const isNormal = (port) => port.kind === "normal";

/** Return z of a face: noise · z0 + Σ amount · vector, the article's rule; z of U(-1, 1) is then clipped to it.
 * `port` is the input z of model.json, `moves` are amounts by the name of an attribute. */
export function latentOf(seed, noise, moves, port, attributes) {
  const random = new Random("face", seed);
  const length = port.shape.at(-1);
  const z = isNormal(port) ? random.normals(length) : random.uniforms(length);
  for (let i = 0; i < length; i++) z[i] *= noise;
  for (const { name, vector } of attributes) {
    const amount = Object.hasOwn(moves, name) ? moves[name] : 0;
    if (amount) for (let i = 0; i < length; i++) z[i] += amount * vector[i];
  }
  return isNormal(port) ? z : z.map((number) => Math.min(1, Math.max(-1, number)));
}

/** Return `count` z from one to another, both ends included: on a great circle for z of N(0, 1), else on a line. */
export function latentsBetween(start, end, count, port) {
  const length = (z) => Math.hypot(...z);
  const [a, b] = [length(start), length(end)];
  const cosine = start.reduce((sum, number, i) => sum + number * end[i], 0) / (a * b || 1);
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  const isRound = isNormal(port) && Math.sin(angle) >= 1e-4;
  return Array.from({ length: count }, (_, step) => {
    const t = step / (count - 1);
    if (!isRound) return mixed(start, end, t);
    const scale = ((1 - t) * a + t * b) / Math.sin(angle);
    const [from, to] = [(scale * Math.sin((1 - t) * angle)) / a, (scale * Math.sin(t * angle)) / b];
    return start.map((number, i) => from * number + to * end[i]);
  });
}

/** Return (1 - t) · start + t · end. */
export const mixed = (start, end, t) => start.map((number, i) => (1 - t) * number + t * end[i]);
