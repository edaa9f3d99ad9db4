// A slider with its number, and a lock against shuffle and reset.
import { el, newId } from "../elements.js";
import { setLabel, setName, setText } from "../language.js";

export class Slider {
  /** It is named by a text of the page, or by the name of an attribute; `change(value, isDone)` is called while it is
   * moved, and when it is let go. */
  constructor({ text, name, least, most, step, rest, mark }, change) {
    Object.assign(this, { least, most, step, rest });
    this.range = el("input", {
      id: newId(),
      type: "range",
      min: least,
      max: most,
      step,
      value: rest,
      on: {
        input: () => (this.show(this.value), change(this.value, false)),
        change: () => change(this.value, true),
      },
    });
    this.number = el("output", { for: this.range.id });
    const label = el("label", { for: this.range.id });
    if (text) setText(label, text);
    else setName(label, name);
    this.lock = el("button", {
      type: "button",
      class: "lock",
      "aria-pressed": "false",
      on: { click: () => this.turnLock() },
    });
    setLabel(this.lock, ...(text ? [`${text}Lock`] : ["lock", { name }]));
    this.element = el("div", { class: "slider" }, label, mark, this.number, this.range, this.lock);
    this.show(rest);
  }

  get value() {
    return Number(this.range.value);
  }

  get isLocked() {
    return this.lock.getAttribute("aria-pressed") === "true";
  }

  turnLock() {
    this.lock.setAttribute("aria-pressed", String(!this.isLocked));
  }

  show(value) {
    this.range.value = value;
    this.number.textContent = this.value.toFixed(2);
  }

  /** Return a random value within `reach` of its rest, or the one it has if it is locked. */
  shuffled(reach) {
    if (this.isLocked) return this.value;
    const value = this.rest + (2 * Math.random() - 1) * reach;
    return Number((Math.round(value / this.step) * this.step).toFixed(4));
  }

  /** Return its rest, or the value it has if it is locked. */
  resting() {
    return this.isLocked ? this.value : this.rest;
  }
}
