// The tab that turns a face into another domain.
import { writeAddress } from "../address.js";
import { button, el, labelled } from "../elements.js";
import { setName } from "../language.js";
import { hasStyles } from "../vision/translation.js";
import { FacePicker, formatFace, parseFace } from "./face_picker.js";
import { handOver } from "./hand_over.js";
import { ModelMenu, runsOf } from "./model_menu.js";
import { beside, canvasOf, figure, saveCanvas } from "./shown.js";
import { Source } from "./source.js";
import { StyleChooser } from "./style_chooser.js";
import { busily, Work } from "./work.js";

const MIN_FACE_PX = 32;

/** Put the tab into its panel. */
export function mount(panel, page) {
  const runs = runsOf(page, "convert");
  if (!runs.length) panel.replaceChildren(el("p", { class: "empty", text: "noConverters" }));
  return runs.length ? new Tab(panel, page, runs) : { restore() {} };
}

class Tab {
  constructor(panel, page, runs) {
    Object.assign(this, { page, given: null });
    this.source = new Source(page, () => this.findFaces());
    this.model = new ModelMenu(page, runs, () => this.use());
    this.picker = new FacePicker(() => this.write());
    this.from = el("select", { on: { change: () => this.write() } });
    this.to = el("select", { on: { change: () => this.write() } });
    this.style = new StyleChooser(
      page,
      (picture) => this.facesOf(picture),
      () => this.write(),
      () => this.work.start(),
    );
    this.work = new Work(
      page,
      "convertNow",
      (progress) => this.begin(progress),
      (made) => this.show(made),
    );
    this.views = el("div", { class: "views converted" });
    this.saves = el(
      "div",
      { class: "stage", hidden: true },
      el(
        "div",
        { class: "row" },
        button("saveFace", () => this.save("face.png", canvasOf(this.made.made)), { class: "primary" }),
        button("saveBeside", () => this.save("beside.png", beside(this.made.crop, this.made.made))),
        button("saveWhole", () => this.save("pasted.png", canvasOf(this.made.pasted))),
      ),
      handOver(page, ["upscale", "blink", "find"], () => this.given),
    );
    panel.replaceChildren(
      el(
        "div",
        { class: "side" },
        this.source.element,
        this.model.element,
        el("div", { class: "row ends" }, labelled("from", this.from), labelled("to", this.to)),
        this.style.element,
        this.picker.element,
        this.work.element,
      ),
      el("div", { class: "stage" }, this.picker.outlines.canvas, this.views, this.saves),
    );
  }

  /** Show what parameters of the address say. */
  async restore(parameters) {
    this.model.restore(parameters);
    await this.use(parameters);
    this.style.restore(parameters);
    this.given = parseFace(parameters.get("face"));
    this.source.want(parameters);
    if (this.page.source && (this.page.source !== this.searched || this.given)) return this.findFaces();
    return this.write();
  }

  /** Use the run that is chosen: its domains take the place of those before. */
  async use(parameters = new URLSearchParams()) {
    const { run } = this.model;
    const { described } = await this.model.opened();
    const names = described.domains.map(({ name }) => name);
    const number = (key, otherwise) =>
      names.includes(parameters.get(key)) ? names.indexOf(parameters.get(key)) : otherwise;
    if (this.shownRun !== run || parameters.has("from")) {
      for (const select of [this.from, this.to]) select.replaceChildren(...names.map(optionOf));
      this.from.value = number("from", 0);
      this.to.value = number("to", 1);
      this.shownRun = run;
    }
    this.style.element.hidden = !hasStyles(described);
    this.isPair = !hasStyles(described);
    this.write();
  }

  get parameters() {
    const { model, source, picker } = this;
    const [from, to] = [this.from, this.to].map((select) => select.selectedOptions[0]?.dataset.name ?? "");
    const style = this.isPair ? {} : this.style.parameters;
    const face =
      this.page.source && this.searched === this.page.source && picker.face ? { face: formatFace(picker.face) } : {};
    return new URLSearchParams({
      tab: "convert",
      ...model.parameters,
      from,
      to,
      ...style,
      ...source.parameters,
      ...face,
    });
  }

  /** Bring address and controls together. */
  write() {
    if (this.isPair && this.from.value === this.to.value) this.to.value = 1 - Number(this.from.value);
    writeAddress(this.parameters);
  }

  /** Find the faces of the picture, so that one can be picked. */
  findFaces() {
    return busily(this.source.element, () => this.search());
  }

  async search() {
    const { source, status } = this.page;
    status.say("working");
    try {
      const faces = await this.facesOf(source.picture);
      status.say(faces.length || this.given ? null : "noFaceToConvert");
      this.searched = source;
      this.picker.show(source.picture, faces, this.given);
      this.given = null;
      this.views.replaceChildren();
      this.saves.hidden = true;
      this.write();
    } catch (error) {
      status.fail(error, () => this.findFaces());
    }
  }

  async facesOf(picture) {
    const shipped = await this.page.open("shipped");
    return this.page.jobs.start("find", { shipped }, { picture, minFace: MIN_FACE_PX, turned: false }).made;
  }

  async begin() {
    const { source, status, jobs } = this.page;
    if (!source) return status.say("noPicture");
    if (this.searched !== source) await this.findFaces();
    const [from, to] = [this.from, this.to].map((select) => Number(select.value));
    this.used = { parameters: this.parameters, exported: await this.model.opened() };
    const { face } = this.picker;
    if (!face) return null;
    const about = {
      picture: source.picture,
      face,
      source: from,
      target: to,
      style: this.isPair ? null : this.style.asked,
    };
    return jobs.start("convert", { engine: this.used.exported }, about);
  }

  show(made) {
    this.made = made;
    this.given = { name: this.source.named("face.png"), picture: made.made, made: String(this.used.parameters) };
    this.views.replaceChildren(
      figure("before", canvasOf(made.crop)),
      figure("after", canvasOf(made.made)),
      figure("wholePicture", canvasOf(made.pasted)),
    );
    this.saves.hidden = false;
    return this.views;
  }

  save(ending, canvas) {
    return saveCanvas(this.page, canvas, this.source.named(ending), this.used.parameters, this.used.exported.described);
  }
}

/** Return the option of a domain. */
function optionOf(name, index) {
  const option = el("option", { value: index });
  setName(option, name);
  return option;
}
