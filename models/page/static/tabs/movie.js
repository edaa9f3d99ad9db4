// An animation that is played: the parts of vision/animation.js on a canvas, and files of it.
import { button, el } from "../elements.js";
import { Failure } from "../failure.js";
import { setText } from "../language.js";
import { timed } from "../vision/timing.js";
import { animatedWebp, exifOf } from "../vision/webp.js";
import { channelsOf, withAlphaChannel } from "../vision/picture.js";
import { canvasOf } from "./shown.js";

const MS = 1000;

export class Movie {
  constructor() {
    this.canvas = el("canvas", { class: "movie", role: "img", label: "animation" });
    this.player = button("play", () => (this.timer ? this.pause() : this.play()));
  }

  /** Show an animation: its first part is the whole picture. */
  show(parts, fps) {
    this.pause();
    Object.assign(this, { parts, fps, at: 0 });
    const [{ picture }] = parts;
    Object.assign(this.canvas, { width: picture.width, height: picture.height });
    this.paint(parts[0]);
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.play();
  }

  paint({ corner, picture }) {
    const { width, height, data } = withAlphaChannel(picture);
    this.canvas.getContext("2d").putImageData(new ImageData(data, width, height), ...corner);
  }

  play() {
    const part = this.parts[this.at];
    this.paint(part);
    this.at = (this.at + 1) % this.parts.length;
    this.timer = setTimeout(() => this.play(), (MS * part.times) / this.fps);
    setText(this.player, "pause");
  }

  pause() {
    clearTimeout(this.timer);
    this.timer = null;
    setText(this.player, "play");
  }

  /** Return a promise of a WebP file without loss, of stills that the browser writes. */
  async toWebp(description) {
    const frames = [];
    for (const { part, ticks } of timed(this.parts, this.fps, MS)) {
      const { width, height } = part.picture;
      const canvas = canvasOf(part.picture);
      const still = await new Promise((resolve) => canvas.toBlob(resolve, "image/webp", 1)); // 1: without loss
      if (still?.type !== "image/webp") throw new Failure("noWebp");
      frames.push({ file: new Uint8Array(await still.arrayBuffer()), corner: part.corner, width, height, ms: ticks });
    }
    const hasAlpha = channelsOf(this.parts[0].picture) === 4;
    return new Blob([animatedWebp(frames, { hasAlpha, exif: exifOf(description) })], { type: "image/webp" });
  }
}
