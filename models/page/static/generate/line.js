// The line between two kept faces: a strip of pictures, a movie of them, and files of both.
import { button, el, labelled, menu } from "../elements.js";
import { toGif } from "../gif.js";
import { latentsBetween, mixed } from "../latents.js";
import { download, paintOn, sheetOf } from "../pictures.js";
import { setText } from "../language.js";

const FRAMES = [8, 16, 24, 32];
const FRAME_MS = 80;

export class Line {
  /** `tab` gives painter, status, keep(end), change(patch) and save(canvas, name). */
  constructor(tab) {
    this.tab = tab;
    this.images = [];
    this.slots = {};
    this.frames = menu(
      FRAMES.map((count) => [String(count), null]),
      (value) => tab.change({ frames: Number(value) }, true),
    );
    this.strip = el("div", { class: "strip", role: "img", label: "strip", tabindex: 0 });
    this.movie = el("canvas", { class: "movie", role: "img", label: "movie" });
    this.player = button("play", () => (this.timer ? this.pause() : this.play()));
    this.made = el(
      "div",
      { class: "made", hidden: true },
      this.movie,
      el(
        "div",
        {},
        el(
          "div",
          { class: "row" },
          this.player,
          button("saveGif", () => this.saveGif()),
          button("saveStrip", () => this.saveStrip()),
        ),
        this.strip,
      ),
    );
    this.element = el(
      "section",
      { class: "line" },
      el("h2", { text: "between" }),
      el("p", { class: "hint", text: "betweenHint" }),
      el(
        "div",
        { class: "row ends" },
        this.slot("from", "first", "keepFirst"),
        this.slot("to", "second2", "keepSecond"),
        labelled("frames", this.frames),
      ),
      this.made,
    );
  }

  slot(end, caption, keep) {
    const canvas = el("canvas", { width: 64, height: 64 });
    this.slots[end] = canvas;
    return el(
      "figure",
      {},
      canvas,
      el("figcaption", { text: caption }),
      button(keep, () => this.tab.keep(end)),
    );
  }

  /** Show the kept faces of a state, and paint the line between them if both are there. */
  async show({ from, to, frames }) {
    this.frames.value = frames;
    const asked = JSON.stringify([from, to, frames]);
    if (asked === this.asked) return;
    this.asked = asked;
    try {
      await this.paintAll({ from, to });
    } catch (error) {
      if (this.asked === asked) this.asked = null; // to be tried again
      throw error;
    }
  }

  async paintAll({ from, to }) {
    for (const [end, face] of Object.entries({ from, to })) {
      const [canvas, kept] = [this.slots[end], JSON.stringify(face ?? null)];
      if (canvas.dataset.face === kept) continue;
      canvas.dataset.face = kept;
      if (face) paintOn(canvas, await this.tab.painter.paint(this.tab.painter.inputs(face)));
      else canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    }
    if (from && to) await this.paint();
    else this.forget();
  }

  forget() {
    this.pause();
    this.made.hidden = true;
  }

  /** Begin anew, with another network. */
  reset() {
    this.asked = null;
    for (const canvas of Object.values(this.slots)) delete canvas.dataset.face;
    this.forget();
  }

  /** Paint the pictures between the kept faces. */
  async paint() {
    const { asked, tab } = this;
    const { from, to, frames } = tab.state;
    const { painter, status } = tab;
    const [start, end] = [from, to].map((face) => painter.inputs(face));
    const all = latentsBetween(start.z, end.z, frames, painter.port);
    const images = [];
    for (const [step, z] of all.entries()) {
      status.say("painting", { done: step + 1, count: frames }, step / frames);
      images.push(
        await painter.paint({ z, labels: start.labels && mixed(start.labels, end.labels, step / (frames - 1)) }),
      );
      if (this.asked !== asked) return;
    }
    status.say();
    this.images = images;
    this.strip.replaceChildren(sheetOf(images, frames));
    paintOn(this.movie, images[0]);
    this.made.hidden = false;
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.play();
  }

  /** Return the pictures there and back. */
  get round() {
    return [...this.images, ...this.images.slice(1, -1).reverse()];
  }

  play() {
    this.pause();
    let at = 0;
    this.timer = setInterval(() => paintOn(this.movie, this.round[at++ % this.round.length]), FRAME_MS);
    setText(this.player, "pause");
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    setText(this.player, "play");
  }

  saveGif() {
    download(toGif(this.round, FRAME_MS, String(this.tab.parameters)), `${this.tab.fileName}-line.gif`);
  }

  saveStrip() {
    this.tab.save(sheetOf(this.images, this.images.length), `${this.tab.fileName}-line.png`);
  }
}
