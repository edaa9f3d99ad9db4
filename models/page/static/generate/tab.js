// The tab that paints faces: its state, and what belongs to it on the page.
import { parseNumber, writeAddress } from "../address.js";
import { button, el } from "../elements.js";
import { Failure } from "../failure.js";
import { setText } from "../language.js";
import { download, sheetOf, toCanvas, toPng } from "../pictures.js";
import { anySeed } from "../seeds.js";
import { handOver } from "../tabs/hand_over.js";
import { ModelMenu, runsOf } from "../tabs/model_menu.js";
import { withoutAlpha } from "../vision/picture.js";
import { Controls } from "./controls.js";
import { formatFace, Painter, parseFace } from "./face.js";
import { Grid } from "./grid.js";
import { History } from "./history.js";
import { Line } from "./line.js";

const FRAMES = 16; // of a line, unless the address says another number

/** Put the tab into its panel. */
export function mount(panel, page) {
  const runs = runsOf(page, "generate");
  if (!runs.length) panel.replaceChildren(el("p", { class: "empty", text: "noRuns" }));
  return runs.length ? new Tab(panel, page, runs) : { restore() {} };
}

/** State: {run, seed, noise, labels, moves: the first face; count; picked: the number of one; from, to: kept faces;
 * frames: pictures between them}. */
class Tab {
  constructor(panel, page, runs) {
    Object.assign(this, { panel, page, runs, status: page.status, wanted: 0 });
    this.model = new ModelMenu(page, runs, (run) =>
      this.restore(new URLSearchParams({ run, seed: this.state.seed }), true),
    );
    this.grid = new Grid((picked) => this.change({ picked }, false));
    this.history = new History((address) => this.restore(new URLSearchParams(address), true));
    this.line = new Line(this);
    this.caption = el("p", { class: "caption" });
    this.controls = el("div");
    this.saveAll = button("saveSheet", () => this.saveSheet());
    panel.replaceChildren(
      el("div", { class: "side" }, this.model.element, this.controls),
      el(
        "div",
        { class: "stage" },
        this.grid.element,
        el(
          "div",
          { class: "row spread" },
          this.caption,
          el(
            "div",
            { class: "row" },
            button("savePng", () => this.savePicked(), { class: "primary" }),
            this.saveAll,
            button("copyLink", () => this.copyLink()),
          ),
        ),
        handOver(page, ["convert", "upscale", "blink", "find"], () => this.given),
        this.history.element,
        this.line.element,
      ),
    );
  }

  /** Show what parameters of the address say; without any, what was shown before. */
  async restore(parameters, isNew = false) {
    if (!parameters.has("run") && !parameters.has("seed") && this.state) return this.write(false);
    const asked = parameters.get("run");
    const run = this.runs.includes(asked) ? asked : this.runs[0];
    const opened = await this.page.open(`runs/${run}`);
    if (this.painter?.opened !== opened) this.use(opened);
    if (asked && asked !== run) this.status.fail(new Failure("noSuchRun", { run: asked }));
    const { described } = opened;
    const kept = (end) => (parameters.has(end) ? parseFace(new URLSearchParams(parameters.get(end)), described) : null);
    const face = parseFace(parameters, described);
    if (!parameters.has("seed")) face.seed = anySeed();
    const count = Controls.countNear(parseNumber(parameters.get("count"), 1, 25, parameters.has("seed") ? 1 : 9));
    const picked = Math.floor(parseNumber(parameters.get("picked"), 0, count - 1, 0));
    const frames = Math.round(parseNumber(parameters.get("frames"), 2, 64, FRAMES));
    this.state = { run, ...face, count, picked, from: kept("from"), to: kept("to"), frames };
    return this.shown(isNew);
  }

  /** Use another network: its controls take the place of those before. */
  use(opened) {
    this.painter = new Painter(opened);
    this.panelControls = new Controls(
      opened.described,
      (patch, isDone) => (isDone ? this.change(patch, true) : this.move(patch)),
      (key) => this.status.say(key),
    );
    this.controls.replaceChildren(this.panelControls.element);
    this.line.reset();
  }

  /** Paint while a slider is moved: neither the address nor the history knows of it. */
  move(patch) {
    this.state = { ...this.state, ...patch };
    this.isMoving = true;
    return this.paint();
  }

  change(patch, isNew) {
    this.state = { ...this.state, ...patch };
    if ("seed" in patch || "count" in patch) this.state.picked = 0;
    return this.shown(isNew);
  }

  /** Bring page and address to the state. */
  shown(isNew) {
    this.isMoving = false;
    this.write(isNew);
    const { state } = this;
    this.model.run = state.run;
    this.panelControls.show(state);
    this.grid.resize(this.seeds);
    this.grid.show(state.picked);
    this.saveAll.hidden = state.count === 1;
    setText(this.caption, "picked", { seed: this.pickedFace.seed });
    return this.paint();
  }

  write(isNew) {
    writeAddress(this.parameters, { isNew });
  }

  get seeds() {
    return Array.from({ length: this.state.count }, (_, index) => this.state.seed + index);
  }

  get pickedFace() {
    const { seed, noise, labels, moves, picked } = this.state;
    return { seed: seed + picked, noise, labels, moves };
  }

  /** Return what made all that is shown, as parameters of the address. */
  get parameters() {
    const { run, count, picked, from, to, frames } = this.state;
    const parameters = new URLSearchParams({ tab: "generate", run });
    for (const [key, value] of formatFace(this.state)) parameters.set(key, value);
    if (count > 1) parameters.set("count", count);
    if (picked) parameters.set("picked", picked);
    if (from) parameters.set("from", formatFace(from));
    if (to) parameters.set("to", formatFace(to));
    if (from && to) parameters.set("frames", frames);
    return parameters;
  }

  /** Paint the state. A change while it is painted begins it anew, so that there is never a queue. */
  async paint() {
    this.wanted++;
    if (this.painting) return this.painting;
    this.panel.setAttribute("aria-busy", "true");
    this.painting = this.paintLatest();
    try {
      await this.painting;
    } catch (error) {
      this.status.fail(error, () => this.paint());
    } finally {
      this.painting = null;
      this.panel.setAttribute("aria-busy", "false");
    }
  }

  async paintLatest() {
    let turn;
    do {
      turn = this.wanted;
      await this.paintGrid(() => turn === this.wanted);
      if (turn !== this.wanted || this.isMoving) continue;
      this.history.add(this.grid.images[0], this.state.seed, this.parameters.toString());
      await this.line.show(this.state);
    } while (turn !== this.wanted);
  }

  async paintGrid(isWanted) {
    const { painter, state } = this;
    const asked = JSON.stringify([state.run, formatFace(state).toString(), state.count]);
    if (asked === this.painted) return;
    this.painted = null;
    for (let index = 0; index < state.count; index++) {
      const image = await painter.paint(painter.inputs({ ...state, seed: state.seed + index }));
      if (!isWanted()) return;
      this.grid.paint(index, image);
      if (state.count > 1)
        this.status.say("painting", { done: index + 1, count: state.count }, (index + 1) / state.count);
    }
    this.status.say();
    this.painted = asked;
  }

  /** Keep the picked face as an end of the line: from or to. */
  keep(end) {
    return this.change({ [end]: this.pickedFace }, true);
  }

  get fileName() {
    return `${this.state.run}-${this.pickedFace.seed}`;
  }

  /** Return what made the picked face alone, as parameters of the address. */
  get pickedParameters() {
    const parameters = new URLSearchParams({ tab: "generate", run: this.state.run });
    for (const [key, value] of formatFace(this.pickedFace)) parameters.set(key, value);
    return parameters;
  }

  /** Return the picked face for another tab. */
  get given() {
    const picture = withoutAlpha(this.grid.images[this.state.picked]);
    return { name: `${this.fileName}.png`, picture, made: String(this.pickedParameters) };
  }

  savePicked() {
    return this.save(toCanvas(this.grid.images[this.state.picked]), `${this.fileName}.png`, this.pickedParameters);
  }

  saveSheet() {
    return this.save(sheetOf(this.grid.images, this.grid.columns), `${this.fileName}-${this.state.count}.png`);
  }

  /** Save a canvas as a PNG file with what made it. */
  async save(canvas, name, parameters = this.parameters) {
    const texts = this.page.textsOf(parameters, this.painter.texts(this.pickedFace));
    download(await toPng(canvas, texts), name);
  }

  async copyLink() {
    await navigator.clipboard.writeText(location.href);
    this.status.say("copied");
  }
}
