// The hair colour of a face: pipeline/hair/color_network.py and the names of pipeline/hair/tagging.py.

import { cropFace } from "./crop.js";
import { toTensor } from "./picture.js";

/** Return {name, shares}: the colour of a face's hair, null if none is likely; the probability of each, and of none. */
export async function hairColor(engine, picture, face) {
  const network = engine.networks.hair_colors;
  const [{ middle, name, shape }] = network.inputs;
  const patch = cropFace(picture, face, { size: shape[2], boxScale: network.face_sides });
  const outputs = await engine.run("hair_colors", { [name]: toTensor([patch], middle) });
  const shares = [...outputs.shares.data];
  const none = shares.at(-1);
  const best = shares.indexOf(Math.max(...shares.slice(0, -1)));
  const isNamed = shares[best] >= Math.max(network.least, none);
  const named = Object.fromEntries(network.columns.map((column, i) => [column, shares[i]]));
  return { name: isNamed ? network.columns[best] : null, shares: named };
}
