// The painted faces: buttons in a grid, of which one is picked.
import { el } from "../elements.js";
import { setLabel } from "../language.js";
import { paintOn } from "../pictures.js";

export class Grid {
  constructor(pick) {
    this.pick = pick;
    this.element = el("div", { class: "grid", role: "group", label: "result" });
    this.cells = [];
    this.images = [];
  }

  /** Make room for faces of these seeds. Pictures stay until others are painted. */
  resize(seeds) {
    while (this.cells.length > seeds.length) this.cells.pop().remove();
    while (this.cells.length < seeds.length) this.add(this.cells.length);
    this.images.length = seeds.length;
    this.element.dataset.columns = this.columns;
    seeds.forEach((seed, index) => setLabel(this.cells[index], "face", { seed }));
  }

  add(index) {
    const cell = el(
      "button",
      { type: "button", on: { click: () => this.pick(index) } },
      el("canvas", { width: 64, height: 64 }),
    );
    this.cells.push(cell);
    this.element.append(cell);
  }

  get columns() {
    return Math.ceil(Math.sqrt(this.cells.length));
  }

  paint(index, image) {
    this.images[index] = image;
    paintOn(this.cells[index].firstChild, image);
  }

  /** Show which face is picked. */
  show(picked) {
    this.cells.forEach((cell, index) => cell.setAttribute("aria-pressed", String(index === picked)));
  }
}
