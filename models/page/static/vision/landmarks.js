// The landmarks of a face: pipeline/faces/landmark_network.py, and which eyes count: pipeline/faces/upright.py.

import { square } from "./boxes.js";
import { mirrored, toTensor } from "./picture.js";
import { rounded } from "./rounding.js";
import { fromEdges, mapped, toPicture } from "./view.js";

const MIRRORED = [6, 5, 4, 7, 2, 1, 0, 3, 8, 9, 10, 11, 13, 12, 15, 14]; // columns of a mirrored face
const NEGATED = [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0]; // those whose sign changes
const OPENNESS = 12; // the first column of logits
const MIN_VISIBLE = 0.35; // share of an eye: less counts as hidden

/**
 * Return {leftEye, rightEye, leftOpenness, rightOpenness, leftVisible, rightVisible, mouth, chin} of a face of a
 * picture; boxes are x0, y0, x1, y1 and points x, y, px of the picture; openness is 1 open to 0 closed.
 * @param pyramid of the RGB picture.
 */
export async function findLandmarks(engine, pyramid, face) {
  const network = engine.networks.landmarks;
  const [{ middle, name, shape }] = network.inputs;
  const size = shape[2];
  const { x, y, side, tilt } = square(face);
  const view = { center: [x, y], size: [size, size], step: (network.face_sides * side) / size, angle: tilt };
  const crop = pyramid.show(view);
  const outputs = await engine.run("landmarks", { [name]: toTensor([crop, mirrored(crop)], middle) });
  return landmarksOf(averaged(outputs.landmarks.data), view);
}

function averaged(data) {
  const level = (column, at) => (column < OPENNESS ? data[at] : 1 / (1 + Math.exp(-data[at])));
  return MIRRORED.map((other, column) => {
    const reflection = level(column, MIRRORED.length + other);
    return (level(column, column) + (NEGATED[column] ? -reflection : reflection)) / 2;
  });
}

function landmarksOf(output, view) {
  const matrix = fromEdges(toPicture(view));
  const half = view.size[0] / 2;
  const point = (x, y) => mapped(matrix, half * (1 + x), half * (1 + y)).map((end) => rounded(end, 2));
  const turn = (view.angle * Math.PI) / 180;
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  /** The upright box of the ellipse in the crop's box, which an eye resembles. */
  const box = (x0, y0, x1, y1) => {
    const [x, y] = point((x0 + x1) / 2, (y0 + y1) / 2);
    const [across, along] = [x1 - x0, y1 - y0].map((side) => (view.step * half * Math.abs(side)) / 2);
    const [wide, high] = [Math.hypot(across * cos, along * sin), Math.hypot(across * sin, along * cos)];
    return [x - wide, y - high, x + wide, y + high].map((end) => rounded(end, 2));
  };
  const [leftOpenness, rightOpenness, leftVisible, rightVisible] = output.slice(OPENNESS).map((v) => rounded(v, 4));
  return {
    leftEye: box(...output.slice(0, 4)),
    rightEye: box(...output.slice(4, 8)),
    leftOpenness,
    rightOpenness,
    leftVisible,
    rightVisible,
    mouth: point(...output.slice(8, 10)),
    chin: point(...output.slice(10, 12)),
  };
}

/** Return {left, right, openness}: boxes of the eyes that show, and are open by `least` or more, else null; the mean
 * openness of those, NaN if none does. */
export function seenEyes(found, least = 0) {
  const left = found.leftVisible >= MIN_VISIBLE && found.leftOpenness >= least;
  const right = found.rightVisible >= MIN_VISIBLE && found.rightOpenness >= least;
  const levels = [...(left ? [found.leftOpenness] : []), ...(right ? [found.rightOpenness] : [])];
  const openness = levels.reduce((sum, each) => sum + each, 0) / levels.length;
  return { left: left ? found.leftEye : null, right: right ? found.rightEye : null, openness };
}
