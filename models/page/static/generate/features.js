// The labels of a run besides hair colours: each random, fixed to be there, or fixed to be absent.
import { el, menu, newId } from "../elements.js";
import { setName } from "../language.js";
import { hairColorOf, learned } from "../labels.js";
import { obedienceMark } from "./mark.js";

const WEIGHTS = { yes: 1, no: 0 };

export class Features {
  /** `change(name, weight)` is called when one is fixed; its weight is null if it is random. */
  constructor(described, change) {
    this.menus = {};
    const rows = learned(described)
      .filter(({ name }) => !hairColorOf(name))
      .map((label) => this.row(label, change));
    this.element = el(
      "details",
      { hidden: rows.length === 0 },
      el("summary", { text: "labels" }),
      el("p", { class: "hint", text: "labelsHint" }),
      ...rows,
    );
  }

  row(label, change) {
    const select = menu(
      [
        ["random", "random"],
        ["yes", "yes"],
        ["no", "no"],
      ],
      (value) => change(label.name, WEIGHTS[value] ?? null),
    );
    select.id = newId();
    this.menus[label.name] = select;
    const name = el("label", { for: select.id });
    setName(name, label.name);
    return el("div", { class: "field" }, name, obedienceMark(label), select);
  }

  /** Show the labels of a face. */
  show(labels) {
    for (const [name, select] of Object.entries(this.menus)) {
      select.value = Object.hasOwn(labels, name) ? (labels[name] > 0 ? "yes" : "no") : "random";
    }
  }
}
