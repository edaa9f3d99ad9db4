// The tab that makes a picture larger.
import { parseNumber, writeAddress } from "../address.js";
import { button, el, labelled } from "../elements.js";
import { Failure } from "../failure.js";
import { setText } from "../language.js";
import { fits, largestScale } from "../vision/limits.js";
import { largeSize, MAX_SCALE, SHIPPED } from "../vision/upscaling.js";
import { handOver } from "./hand_over.js";
import { ModelMenu, OURS, runsOf } from "./model_menu.js";
import { canvasOf, figure, saveCanvas } from "./shown.js";
import { Source } from "./source.js";
import { Work } from "./work.js";

const SCALE = { least: 1, most: MAX_SCALE, usual: 4 };

/** Put the tab into its panel. */
export async function mount(panel, page) {
  const runs = runsOf(page, "upscale");
  if (SHIPPED in (await page.open("shipped")).networks) runs.unshift(OURS);
  if (!runs.length) panel.replaceChildren(el("p", { class: "empty", text: "noUpscalers" }));
  return runs.length ? new Tab(panel, page, runs) : { restore() {} };
}

class Tab {
  constructor(panel, page, runs) {
    this.page = page;
    this.source = new Source(page, () => this.changed());
    this.model = new ModelMenu(page, runs, () => this.changed());
    this.scale = el("input", {
      type: "number",
      min: SCALE.least,
      max: SCALE.most,
      step: 0.1,
      value: SCALE.usual,
      on: { change: () => this.changed() },
    });
    this.size = el("p", { class: "caption" });
    this.work = new Work(
      page,
      "upscaleNow",
      (progress) => this.begin(progress),
      (made) => this.show(made),
    );
    this.views = el("div", { class: "views pair" });
    this.result = el(
      "div",
      { class: "stage", hidden: true },
      this.views,
      el(
        "div",
        { class: "row" },
        button("savePng", () => this.save(), { class: "primary" }),
      ),
      handOver(page, ["blink", "find"], () => this.given),
    );
    panel.replaceChildren(
      el(
        "div",
        { class: "side" },
        this.source.element,
        this.model.element,
        labelled("scale", this.scale),
        this.size,
        this.work.element,
      ),
      this.result,
    );
  }

  /** Show what parameters of the address say. */
  restore(parameters) {
    this.model.restore(parameters);
    if (parameters.has("scale"))
      this.scale.value = parseNumber(parameters.get("scale"), SCALE.least, SCALE.most, SCALE.usual);
    this.source.want(parameters);
    return this.changed();
  }

  get parameters() {
    return new URLSearchParams({
      tab: "upscale",
      ...this.model.parameters,
      scale: this.scale.value,
      ...this.source.parameters,
    });
  }

  /** Bring address and caption to the controls. */
  changed() {
    const { source } = this.page;
    this.scale.value = parseNumber(this.scale.value, SCALE.least, SCALE.most, SCALE.usual);
    writeAddress(this.parameters);
    if (this.used?.source !== source) this.result.hidden = true;
    if (source) setText(this.size, "sizeAfter", largeSize(source.picture, Number(this.scale.value)));
  }

  async begin(onProgress) {
    const { source, status, jobs } = this.page;
    if (!source) return status.say("noPicture");
    const scale = Number(this.scale.value);
    const size = largeSize(source.picture, scale);
    if (!fits(size)) throw new Failure("tooLargeAfter", { ...size, scale: largestScale(source.picture) });
    this.used = { source, parameters: this.parameters, scale, exported: await this.model.opened() };
    return jobs.start("upscale", { engine: this.used.exported }, { picture: source.picture, scale }, onProgress);
  }

  show(made) {
    const { parameters, scale } = this.used;
    this.given = { name: this.source.named(`${scale}x.png`), picture: made, made: String(parameters) };
    this.made = canvasOf(made);
    this.views.replaceChildren(figure("before", canvasOf(this.used.source.picture)), figure("after", this.made));
    this.result.hidden = false;
    return this.result;
  }

  save() {
    const { parameters, exported } = this.used;
    const about = { run: exported.described.run, weights: exported.weightsOf(SHIPPED) };
    return saveCanvas(this.page, this.made, this.given.name, parameters, about);
  }
}
