// One face of a picture: one of those that were found, or one that is framed by hand.
import { el, labelled } from "../elements.js";
import { faceAt, square } from "../vision/boxes.js";
import { Outlines } from "./outlines.js";

const BY_HAND = "hand";
const ENDS = { centerX: "x", centerY: "y", side: "side", tilt: "tilt" };

export class FacePicker {
  /** `change()` is called when another face is picked. */
  constructor(change) {
    Object.assign(this, { change, found: [], own: null, choice: BY_HAND });
    this.outlines = new Outlines((face, isDone) => this.frame(face, isDone));
    this.list = el("div", { class: "faces" });
    this.numbers = Object.fromEntries(
      Object.keys(ENDS).map((text) => [
        text,
        el("input", { type: "number", step: 1, on: { change: () => this.read() } }),
      ]),
    );
    this.hand = el(
      "div",
      {},
      el("p", { class: "hint", text: "byHandHint" }),
      el("div", { class: "row ends" }, ...Object.entries(this.numbers).map(([text, input]) => labelled(text, input))),
    );
    this.element = el("fieldset", { hidden: true }, el("legend", { text: "faces" }), this.list, this.hand);
  }

  /** Return the picked face, or null. */
  get face() {
    return this.choice === BY_HAND ? this.own : (this.found[this.choice] ?? null);
  }

  /** Show a picture with the faces that were found in it, of which the best one is picked; or one that is given. */
  show(picture, found, given = null) {
    Object.assign(this, {
      picture,
      found,
      own: given ?? middleOf(picture),
      choice: given || !found.length ? BY_HAND : 0,
    });
    const options = [...found.map((_, index) => [index, ["faceNumber", { number: index + 1 }]]), [BY_HAND, ["byHand"]]];
    this.list.replaceChildren(...options.map(([choice, text]) => this.option(choice, text)));
    this.element.hidden = false;
    this.paint();
  }

  option(choice, text) {
    const input = el("input", { type: "radio", name: "face", on: { change: () => this.pick(choice) } });
    input.checked = choice === this.choice;
    return el("label", { class: "check" }, input, el("span", { text }));
  }

  pick(choice) {
    if (choice === BY_HAND && this.face) this.own = this.face;
    this.choice = choice;
    this.paint();
    this.change();
  }

  /** Take a square that is drawn by hand. */
  frame(face, isDone) {
    if (square(face).side < 2) return;
    this.own = face;
    this.choice = BY_HAND;
    this.list.lastChild.querySelector("input").checked = true;
    this.paint();
    if (isDone) this.change();
  }

  /** Take the numbers that are typed. */
  read() {
    const [x, y, side, tilt] = Object.keys(ENDS).map((text) => Number(this.numbers[text].value) || 0);
    this.own = faceAt(x, y, Math.max(2, side), tilt, 1);
    this.paint();
    this.change();
  }

  paint() {
    const isByHand = this.choice === BY_HAND;
    this.hand.hidden = !isByHand;
    for (const [text, key] of Object.entries(ENDS)) this.numbers[text].value = Math.round(square(this.own)[key]);
    const shown = isByHand ? [...this.found, this.own] : this.found;
    this.outlines.show(this.picture, shown, this.face);
  }
}

/** Return the square in the middle of a picture, two thirds of its side. */
function middleOf({ width, height }) {
  return faceAt(width / 2, height / 2, Math.round((2 / 3) * Math.min(width, height)), 0, 1);
}

/** Return a face as a parameter of the address: centre, side, tilt. */
export function formatFace(face) {
  const { x, y, side, tilt } = square(face);
  return [x, y, side, tilt].map((number) => Number(number.toFixed(2))).join(",");
}

/** Return the face that a parameter stands for, or null. */
export function parseFace(text) {
  const numbers = (text ?? "").split(",").map(Number);
  return numbers.length === 4 && numbers.every(Number.isFinite) && numbers[2] >= 1 ? faceAt(...numbers, 1) : null;
}
