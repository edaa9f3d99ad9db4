// The choice of a hair colour, or of a mixture of two.
import { el, labelled, newId } from "../elements.js";
import { setName, setText } from "../language.js";
import { hairColorOf, learned } from "../labels.js";
import { obedienceMark } from "./mark.js";

const STEP = 0.05;

export class Hair {
  /** `change(weights by label, isDone)` is called with the labels that are fixed; none: the colour is random. */
  constructor(described, change) {
    this.labels = learned(described).filter(({ name }) => hairColorOf(name));
    this.names = this.labels.map(({ name }) => name);
    this.change = change;
    const group = newId();
    this.choices = [null, ...this.labels].map((label) => this.choice(group, label));
    this.second = el("select", { on: { change: () => this.report() } }, el("option", { value: "", text: "none" }));
    for (const name of this.names) {
      const option = el("option", { value: name });
      setName(option, name);
      this.second.append(option);
    }
    this.share = el("input", {
      type: "range",
      min: STEP,
      max: 1 - STEP,
      step: STEP,
      value: 0.5,
      on: { input: () => this.report(false), change: () => this.report() },
    });
    this.mixing = el("div", { class: "mixing" }, labelled("second", this.second), labelled("share", this.share));
    this.element = el(
      "fieldset",
      {},
      el("legend", { text: "hair" }),
      el("div", { class: "swatches" }, ...this.choices),
      this.mixing,
    );
  }

  choice(group, label) {
    const input = el("input", {
      type: "radio",
      name: group,
      value: label?.name ?? "",
      on: { change: () => this.report() },
    });
    const text = el("span");
    if (!label) setText(text, "random");
    else setName(text, label.name);
    return el(
      "label",
      { class: "swatch" },
      input,
      el("i", { class: `hair ${label ? hairColorOf(label.name) : "any"}` }),
      text,
      label && obedienceMark(label),
    );
  }

  report(isDone = true) {
    const [first, second] = [this.element.querySelector("input:checked").value, this.second.value];
    const share = Number(this.share.value);
    const isMixed = first && second && second !== first;
    this.change(
      !first ? {} : isMixed ? { [first]: Number((1 - share).toFixed(2)), [second]: share } : { [first]: 1 },
      isDone,
    );
  }

  /** Show the labels of a face. */
  show(labels) {
    const [first, second] = this.names.filter((name) => labels[name] > 0).sort((a, b) => labels[b] - labels[a]);
    const [shown, other] = this.isShownSecond(first, second) ? [second, first] : [first, second];
    this.element.querySelector(`input[value="${CSS.escape(shown ?? "")}"]`).checked = true;
    this.second.value = other ?? "";
    if (other) this.share.value = labels[other];
    this.mixing.hidden = !shown;
    this.share.parentElement.hidden = !other;
  }

  /** Return whether the larger part of a mixture is the one in the menu: it stays there while the share is moved. */
  isShownSecond(first, second) {
    return second !== undefined && this.second.value === first;
  }
}
