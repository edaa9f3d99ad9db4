// What the page asks its second worker to do. Each takes (what it is about, {signal, onProgress}); engines are
// {…model.json, run}, pictures are of any channels.

import { Random, sha256 } from "../seeds.js";
import { partsOf } from "./animation.js";
import { blink } from "./blinking.js";
import { ALL_TURNS, findFaces } from "./detector.js";
import { gifOf } from "./gif.js";
import { hairColor } from "./hair.js";
import { FPS } from "./motion.js";
import { generatorOf } from "./numpy.js";
import { onWhite } from "./picture.js";
import { paste } from "./pasting.js";
import { cutFace, drawnStyle, hasStyles, readStyle, translate, viewOfFace } from "./translation.js";
import { upscale } from "./upscaling.js";

export const TASKS = {
  /** Return the faces of a picture, best first, each with its `hair`. */
  async find({ shipped, picture, minFace, turned }, options) {
    const flat = onWhite(picture);
    const faces = await findFaces(shipped, flat, { minFace, turns: turned ? ALL_TURNS : [0], ...options });
    const found = [];
    for (const face of faces) found.push({ ...face, hair: await hairColor(shipped, flat, face) });
    return found;
  },

  /**
   * Return {crop, made, pasted}: the face as the networks are shown it, its translation, and the whole picture with it.
   * @param style {seed} or {picture, face}: of a reference; nothing of a run without styles.
   */
  async convert({ engine, picture, face, source, target, style }, { signal }) {
    const crop = await cutFace(engine, onWhite(picture), face, source);
    const chosen = await styleOf(engine, target, style);
    signal.throwIfAborted();
    const made = await translate(engine, crop, target, chosen);
    signal.throwIfAborted();
    return { crop, made, pasted: paste(picture, made, viewOfFace(engine, face, source)) };
  },

  /** Return a larger picture. */
  upscale: ({ engine, picture, scale }, options) => upscale(engine, picture, { scale, ...options }),

  /** Return {faces, parts, fps}: the faces with their `problem`, and the parts of the animation, none if no face blinks. */
  async blink({ shipped, run, picture, seconds, seed }, options) {
    const generator = (face) => generatorOf(seedFor(`('blinks', ${seed}, ${face})`));
    const engine = run ? withNetwork(shipped, run) : shipped;
    const made = await blink(engine, picture, { seconds, generatorOf: generator, ...options });
    return {
      faces: made.faces,
      parts: made.patches.length ? [...partsOf(picture, made.patches, made.shown)] : [],
      fps: FPS,
    };
  },

  /** Return a GIF file. */
  gif: ({ parts, fps, comment }) => gifOf(parts, fps, comment),
};

async function styleOf(engine, target, style) {
  if (!hasStyles(engine)) return null;
  if (!style.picture) {
    const length = engine.networks.mapping.inputs[0].shape[1];
    return drawnStyle(engine, new Random("style", style.seed).normals(length), target);
  }
  return readStyle(engine, await cutFace(engine, onWhite(style.picture), style.face, target), target);
}

/** Return the shipped networks with a run's own in place of `blink`. */
function withNetwork(shipped, run) {
  const [[name, network]] = Object.entries(run.networks);
  return {
    networks: { ...shipped.networks, blink: network },
    run: (asked, feeds) => (asked === "blink" ? run.run(name, feeds) : shipped.run(asked, feeds)),
  };
}

/** Return 63 bits of the hash of a purpose, as models/seeds.py has it. */
function seedFor(purpose) {
  const [high, low] = sha256(purpose);
  return ((BigInt(high) << 32n) | BigInt(low)) >> 1n;
}
