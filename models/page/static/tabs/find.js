// The tab that finds faces: their boxes and hair colours.
import { parseNumber, writeAddress } from "../address.js";
import { button, el, labelled } from "../elements.js";
import { setName, setText } from "../language.js";
import { download } from "../pictures.js";
import { square } from "../vision/boxes.js";
import { ModelMenu, OURS } from "./model_menu.js";
import { Outlines } from "./outlines.js";
import { saveCanvas } from "./shown.js";
import { Source } from "./source.js";
import { Work } from "./work.js";

const MIN_FACE = { least: 16, most: 1024, usual: 48 };

/** Put the tab into its panel. */
export function mount(panel, page) {
  return new Tab(panel, page);
}

class Tab {
  constructor(panel, page) {
    Object.assign(this, { page, faces: null });
    this.source = new Source(page, () => this.work.start());
    this.model = new ModelMenu(page, [OURS]);
    this.minFace = el("input", { type: "number", min: MIN_FACE.least, max: MIN_FACE.most, value: MIN_FACE.usual });
    this.turned = el("input", { type: "checkbox" });
    this.work = new Work(
      page,
      "findNow",
      (progress) => this.begin(progress),
      (faces) => this.show(faces),
    );
    this.outlines = new Outlines();
    this.count = el("h2");
    this.rows = el("tbody");
    const head = ["faceOf", "hairOf", "sideOf", "tiltOf", "scoreOf"].map((text) => el("th", { scope: "col", text }));
    this.table = el("table", { class: "found" }, el("thead", {}, el("tr", {}, ...head)), this.rows);
    this.result = el(
      "div",
      { class: "stage", hidden: true },
      this.outlines.canvas,
      this.count,
      this.table,
      el(
        "div",
        { class: "row" },
        button("savePicture", () => this.savePicture()),
        button("saveBoxes", () => this.saveBoxes()),
      ),
    );
    panel.replaceChildren(
      el(
        "div",
        { class: "side" },
        this.source.element,
        this.model.element,
        labelled("minFace", this.minFace),
        el("label", { class: "check" }, this.turned, el("span", { text: "turned" })),
        this.work.element,
      ),
      this.result,
    );
  }

  /** Show what parameters of the address say. */
  restore(parameters) {
    const { least, most, usual } = MIN_FACE;
    if (parameters.has("min")) this.minFace.value = Math.round(parseNumber(parameters.get("min"), least, most, usual));
    if (parameters.has("min")) this.turned.checked = parameters.get("turned") === "1";
    this.source.want(parameters);
    if (this.page.source && this.page.source !== this.used) return this.work.start();
    return this.write();
  }

  get parameters() {
    const { minFace, turned, source } = this;
    return new URLSearchParams({
      tab: "find",
      min: minFace.value,
      ...(turned.checked && { turned: 1 }),
      ...source.parameters,
    });
  }

  write() {
    writeAddress(this.parameters);
  }

  async begin(onProgress) {
    const { source, status, jobs } = this.page;
    if (!source) return status.say("noPicture");
    const { least, most, usual } = MIN_FACE;
    this.minFace.value = Math.round(parseNumber(this.minFace.value, least, most, usual));
    this.used = source;
    this.write();
    const about = { picture: source.picture, minFace: Number(this.minFace.value), turned: this.turned.checked };
    return jobs.start("find", { shipped: await this.model.opened() }, about, onProgress);
  }

  show(faces) {
    this.faces = faces;
    this.outlines.show(this.used.picture, faces);
    if (faces.length) setText(this.count, faces.length === 1 ? "foundOne" : "found", { count: faces.length });
    else setText(this.count, "noFace");
    this.table.hidden = !faces.length;
    this.rows.replaceChildren(...faces.map((face, index) => rowOf(face, index + 1)));
    this.result.hidden = false;
    return this.result;
  }

  savePicture() {
    return saveCanvas(this.page, this.outlines.canvas, this.source.named("faces.png"), this.parameters);
  }

  saveBoxes() {
    const faces = this.faces.map(({ box, tilt, score, hair }) => ({
      box,
      tilt,
      score,
      hair_color: hair.name,
      hair: hair.shares,
    }));
    const text = JSON.stringify({ picture: this.used.name, faces }, null, 1);
    download(new Blob([text], { type: "application/json" }), this.source.named("faces.json"));
  }
}

function rowOf(face, number) {
  const { name, shares } = face.hair;
  const color = el("span");
  if (name) setName(color, name);
  else setText(color, "noColor");
  const hair = el(
    "td",
    {},
    el("span", { class: `hair ${name ?? ""}` }),
    " ",
    color,
    name ? ` ${Math.round(100 * shares[name])} %` : "",
  );
  const numbers = [square(face).side.toFixed(0), Math.round(face.tilt) || 0, face.score.toFixed(2)];
  return el("tr", {}, el("th", { scope: "row" }, String(number)), hair, ...numbers.map((text) => el("td", {}, text)));
}
