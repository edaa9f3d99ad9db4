// What was painted before, newest first: small pictures that bring it back.
import { el } from "../elements.js";

const KEPT = 60;
const SIDE_PX = 72;

export class History {
  constructor(restore) {
    this.restore = restore;
    this.list = el("ul", { class: "thumbs" });
    this.element = el("section", { hidden: true }, el("h2", { text: "history" }), this.list);
  }

  /** Add a picture with the address that made it, unless it is the newest one already. */
  add(image, seed, address) {
    if (this.list.firstChild?.dataset.address === address) return;
    const canvas = el("canvas", { width: SIDE_PX, height: SIDE_PX });
    createImageBitmap(image).then((bitmap) => canvas.getContext("2d").drawImage(bitmap, 0, 0, SIDE_PX, SIDE_PX));
    const press = el(
      "button",
      { type: "button", label: ["historyOf", { seed }], on: { click: () => this.restore(address) } },
      canvas,
    );
    const entry = el("li", {}, press);
    entry.dataset.address = address;
    this.list.prepend(entry);
    this.list.children[KEPT]?.remove();
    this.element.hidden = false;
  }
}
