// The style of a translation: drawn from a seed, or that of a face of another picture.
import { parseNumber } from "../address.js";
import { button, el, labelled, menu } from "../elements.js";
import { Failure } from "../failure.js";
import { setText } from "../language.js";
import { anySeed } from "../seeds.js";
import { readPicture } from "./reading.js";
import { MAX_NAME } from "./source.js";
import { busily } from "./work.js";

const MAX_SEED = Number.MAX_SAFE_INTEGER;
const [DRAWN, REFERENCE] = ["seed", "reference"];
const WAYS = [
  [DRAWN, "drawnStyle"],
  [REFERENCE, "referenceStyle"],
];

export class StyleChooser {
  /** `facesOf(picture)` finds faces; `change()` is called when another style is chosen; `start()` makes one picture. */
  constructor(page, facesOf, change, start) {
    Object.assign(this, { page, facesOf, change, start, reference: null, wanted: "" });
    this.way = menu(WAYS, () => this.changed());
    const seedOptions = { type: "number", min: 0, max: MAX_SEED, step: 1, value: 0 };
    this.seed = el("input", { ...seedOptions, on: { change: () => this.changed() } });
    this.drawn = el(
      "div",
      { class: "row ends" },
      labelled("seed", this.seed),
      button("newStyle", () => this.another()),
    );
    this.file = el("input", { type: "file", accept: "image/*", hidden: true, on: { change: () => this.take() } });
    this.name = el("p", { class: "caption" });
    this.read = el(
      "div",
      {},
      button("chooseReference", () => this.file.click()),
      this.file,
      this.name,
    );
    const legend = el("legend", { text: "style" });
    this.element = el("fieldset", {}, legend, labelled("takenFrom", this.way), this.drawn, this.read);
    this.show();
  }

  /** Show what parameters of the address say. */
  restore(parameters) {
    if (parameters.has("seed")) this.seed.value = parameters.get("seed");
    if (parameters.has("seed")) this.way.value = DRAWN;
    if (parameters.has("reference")) this.want(parameters.get("reference"));
    this.show();
  }

  /** Ask for the reference of that name, unless it is there. */
  want(name) {
    this.way.value = REFERENCE;
    if (this.reference?.name === name) return;
    this.reference = null;
    this.wanted = name;
    if (name) setText(this.name, "chooseAgain", { file: name.slice(0, MAX_NAME) });
  }

  show() {
    this.seed.value = Math.round(parseNumber(this.seed.value, 0, MAX_SEED, 0));
    this.drawn.hidden = this.way.value !== DRAWN;
    this.read.hidden = this.way.value !== REFERENCE;
  }

  changed() {
    this.show();
    this.change();
  }

  another() {
    this.seed.value = anySeed();
    this.changed();
    return this.start();
  }

  /** Take a picture whose first face gives the style. */
  async take() {
    const { status } = this.page;
    const [file] = this.file.files;
    this.file.value = "";
    if (!file) return;
    status.clear();
    status.say("working");
    try {
      const { name, picture } = await readPicture(file);
      const [face] = await busily(this.element, () => this.facesOf(picture));
      if (!face) throw new Failure("noReference");
      this.reference = { name, picture, face };
      setText(this.name, "referenceOf", { file: name });
      status.say();
      this.changed();
    } catch (error) {
      status.fail(error);
    }
  }

  /** Return what the task `convert` takes. Fail if there is no reference yet. */
  get asked() {
    if (this.way.value === DRAWN) return { seed: Number(this.seed.value) };
    if (!this.reference) throw new Failure("noReference");
    return { picture: this.reference.picture, face: this.reference.face };
  }

  /** Return what parameters of an address say of it. */
  get parameters() {
    return this.way.value === DRAWN ? { seed: this.seed.value } : { reference: this.reference?.name ?? this.wanted };
  }
}
