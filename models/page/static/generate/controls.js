// The controls of a face: seed, count, noise, hair, labels and attributes, as a run has them.
import { button, el, labelled, menu } from "../elements.js";
import { anySeed } from "../seeds.js";
import { MAX_MOVE } from "./face.js";
import { Features } from "./features.js";
import { Hair } from "./hair.js";
import { obedienceMark } from "./mark.js";
import { Slider } from "./slider.js";

const COUNTS = [1, 4, 9, 16, 25];
const SHUFFLE_REACH = 1.5; // of an attribute: with more, faces fall apart

export class Controls {
  /** `change(patch of the state, isDone)`: isDone is false while a slider is moved. */
  constructor(described, change, say) {
    this.change = change;
    this.seed = el("input", {
      type: "number",
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
      step: 1,
      on: { change: () => this.takeSeed() },
    });
    const copy = button("copySeed", () => navigator.clipboard.writeText(this.seed.value).then(() => say("copied")), {
      label: "copySeedHint",
    });
    this.count = menu(
      COUNTS.map((count) => [String(count), null]),
      (value) => change({ count: Number(value) }, true),
    );
    this.noise = new Slider({ text: "noise", least: 0, most: 1, step: 0.05, rest: 1 }, (noise, isDone) =>
      change({ noise }, isDone),
    );
    this.hair = new Hair(described, (labels, isDone) => this.changeLabels(this.hair.names, labels, isDone));
    this.features = new Features(described, (name, weight) =>
      this.changeLabels([name], weight === null ? {} : { [name]: weight }),
    );
    this.moves = Object.fromEntries(
      (described.attributes ?? []).map((attribute) => [attribute.name, this.move(attribute)]),
    );
    const sliders = Object.values(this.moves);
    this.element = el(
      "form",
      { class: "controls", on: { submit: (event) => event.preventDefault() } },
      el(
        "div",
        { class: "row actions" },
        button("draw", () => change({ seed: anySeed() }, true), { class: "primary", hint: "drawHint" }),
        button("shuffle", () => this.shuffle(), { hidden: sliders.length === 0, hint: "shuffleHint" }),
        button("reset", () => this.reset(), { hint: "resetHint" }),
      ),
      el("div", { class: "seed" }, labelled("seed", this.seed), copy, labelled("count", this.count)),
      this.noise.element,
      this.hair.names.length ? this.hair.element : null,
      this.features.element,
      sliders.length
        ? el("fieldset", {}, el("legend", { text: "attributes" }), ...sliders.map(({ element }) => element))
        : null,
    );
  }

  move(attribute) {
    const { name } = attribute;
    return new Slider(
      { name, least: -MAX_MOVE, most: MAX_MOVE, step: 0.05, rest: 0, mark: obedienceMark(attribute) },
      (amount, isDone) => this.change({ moves: { ...this.state.moves, [name]: amount } }, isDone),
    );
  }

  takeSeed() {
    const seed = Math.round(Number(this.seed.value));
    this.change({ seed: Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, seed)) || 0 }, true);
  }

  /** Replace the fixed labels among `names`. */
  changeLabels(names, labels, isDone = true) {
    const others = Object.entries(this.state.labels).filter(([name]) => !names.includes(name));
    this.change({ labels: { ...Object.fromEntries(others), ...labels } }, isDone);
  }

  shuffle() {
    this.change({ moves: this.allMoves((slider) => slider.shuffled(SHUFFLE_REACH)) }, true);
  }

  reset() {
    this.change({ noise: this.noise.resting(), labels: {}, moves: this.allMoves((slider) => slider.resting()) }, true);
  }

  allMoves(value) {
    return Object.fromEntries(Object.entries(this.moves).map(([name, slider]) => [name, value(slider)]));
  }

  /** Show a state. */
  show(state) {
    this.state = state;
    this.seed.value = state.seed;
    this.count.value = state.count;
    this.noise.show(state.noise);
    if (this.hair.names.length) this.hair.show(state.labels);
    this.features.show(state.labels);
    for (const [name, slider] of Object.entries(this.moves))
      slider.show(Object.hasOwn(state.moves, name) ? state.moves[name] : 0);
  }

  /** Return the count of faces that is nearest to one that can be chosen. */
  static countNear(count) {
    return COUNTS.findLast((each) => each <= count) ?? COUNTS[0];
  }
}
