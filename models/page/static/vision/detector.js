// The face detector: pipeline/faces/network.py, with the sizes and thresholds that model.json has of `face_detector`.
//
// An engine is {networks, run}: the networks of a model.json, and run(name, {input: tensor}) -> {output: tensor}.

import { faceAt, nonMaxSuppression, square } from "./boxes.js";
import { mirrored, toTensor } from "./picture.js";
import { Pyramid, fromEdges, mapped, toPicture } from "./view.js";

const MAX_OFFSET = 2; // cells from a cell's middle to a face's centre
const MAX_LOG_SIDE = 1.5;
export const ALL_TURNS = [0, 90, 180, 270]; // degrees; 0 alone finds faces that lean by up to 60

/**
 * Return the faces of `minFace` px and more of an RGB picture, best first.
 * @param options.turns degrees by which copies are turned; options.signal stops between two copies;
 * options.onProgress is called with the share done.
 */
export async function findFaces(engine, picture, { minFace = 48, turns = [0], signal, onProgress } = {}) {
  const facts = engine.networks.face_detector;
  const pyramid = new Pyramid(picture);
  const views = turns.flatMap((turn) => [...viewsOf(picture, minFace, turn, facts)]);
  const work = views.map(({ size: [width, height] }) => width * height);
  const total = work.reduce((sum, each) => sum + each, 0);
  const seen = [];
  let done = 0;
  for (const [number, view] of views.entries()) {
    signal?.throwIfAborted();
    const maps = await mapsOf(engine, [pyramid.show(view)]);
    const matrix = fromEdges(toPicture(view));
    for (const { x, y, side, tilt, logit } of peaks(maps, facts)) {
      const face = faceAt(...mapped(matrix, x, y), side * view.step, tilt + view.angle, logit);
      if (side * view.step >= minFace) seen.push({ ...face, score: logit - handicap(face, facts) });
    }
    done += work[number];
    onProgress?.(done / total);
  }
  const found = [];
  for (const face of nonMaxSuppression(seen)) {
    signal?.throwIfAborted();
    const second = (await secondLook(engine, pyramid, face)) - handicap(face, facts);
    const score = (face.score + second) / 2;
    if (score >= facts.face_logit) found.push({ ...face, score });
  }
  return nonMaxSuppression(found);
}

/** Return by how much the logit of a face is lowered: few faces lie on their side or stand on their head. */
function handicap({ tilt }, { turned }) {
  return Math.abs(tilt) > turned.degrees ? turned.handicap : 0;
}

/** Yield copies from one in which a face of `minFace` px is just large enough, to one that a face may fill. */
function* viewsOf(picture, minFace, turn, facts) {
  const center = [picture.width / 2, picture.height / 2];
  const longer = Math.max(picture.width, picture.height);
  const sides = turn % 180 ? [picture.height, picture.width] : [picture.width, picture.height];
  for (let step = Math.max(minFace / facts.min_face, longer / facts.max_view); ; step *= facts.view_ratio) {
    const size = sides.map((side) => Math.ceil(side / step / facts.stride) * facts.stride + facts.margin);
    yield { center, size, step, angle: turn };
    if (longer / step < facts.min_picture) return;
  }
}

async function mapsOf(engine, pictures) {
  const [{ middle, name }] = engine.networks.face_detector.inputs;
  return (await engine.run("face_detector", { [name]: toTensor(pictures, middle) })).maps;
}

/** Yield {x, y, side, tilt, logit} of the local maxima of the maps of one picture. */
export function* peaks({ dims: [, , height, width], data }, facts) {
  const cells = height * width;
  const clip = (value, most) => Math.min(Math.max(value, -most), most);
  for (let at = 0; at < cells; at++) {
    const logit = data[at];
    const [row, column] = [Math.floor(at / width), at % width];
    if (!(logit > facts.proposal_logit) || !isMaximum(data, row, column, height, width)) continue;
    const [offsetX, offsetY, size, sine, cosine] = [1, 2, 3, 4, 5].map((map) => data[map * cells + at]);
    const side = facts.side * Math.exp(clip(size, MAX_LOG_SIDE));
    if (side <= facts.face_sides[0] || side >= facts.face_sides[1]) continue;
    const x = (column + 0.5 + clip(offsetX, MAX_OFFSET)) * facts.stride;
    const y = (row + 0.5 + clip(offsetY, MAX_OFFSET)) * facts.stride;
    yield { x, y, side, tilt: (Math.atan2(sine, cosine) * 180) / Math.PI, logit };
  }
}

function isMaximum(data, row, column, height, width) {
  for (let y = Math.max(0, row - 1); y <= Math.min(height - 1, row + 1); y++)
    for (let x = Math.max(0, column - 1); x <= Math.min(width - 1, column + 1); x++)
      if (data[y * width + x] > data[row * width + column]) return false;
  return true;
}

/** Return the highest logit near the middle of upright patches round a face, at several sizes and mirrored: the mean. */
async function secondLook(engine, pyramid, face) {
  const { x, y, side, tilt } = square(face);
  const { size, faces, cells } = engine.networks.face_detector.second_look;
  const patches = faces.map((px) => pyramid.show({ center: [x, y], size: [size, size], step: side / px, angle: tilt }));
  const { dims, data } = await mapsOf(engine, [...patches, ...patches.map(mirrored)]);
  const [count, maps, height, width] = dims;
  let sum = 0;
  for (let number = 0; number < count; number++) {
    let highest = -Infinity;
    for (let row = cells[0]; row < cells[1]; row++)
      for (let column = cells[0]; column < cells[1]; column++)
        highest = Math.max(highest, data[(number * maps * height + row) * width + column]);
    sum += highest;
  }
  return sum / count;
}
