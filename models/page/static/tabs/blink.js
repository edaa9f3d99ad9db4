// The tab that lets a drawn face blink.
import { parseNumber, writeAddress } from "../address.js";
import { button, el, labelled } from "../elements.js";
import { Failure } from "../failure.js";
import { say } from "../language.js";
import { download } from "../pictures.js";
import { ModelMenu, OURS, runsOf } from "./model_menu.js";
import { Movie } from "./movie.js";
import { Source } from "./source.js";
import { Work } from "./work.js";

const SECONDS = { least: 1.5, most: 60, usual: 4 };
const MAX_SEED = Number.MAX_SAFE_INTEGER;

/** Put the tab into its panel. */
export function mount(panel, page) {
  return new Tab(panel, page);
}

class Tab {
  constructor(panel, page) {
    this.page = page;
    this.source = new Source(page, () => this.changed());
    this.model = new ModelMenu(page, [OURS, ...runsOf(page, "blink")], () => this.changed());
    this.seconds = number(SECONDS.least, SECONDS.most, 0.5, SECONDS.usual, () => this.changed());
    this.seed = number(0, MAX_SEED, 1, 0, () => this.changed());
    this.work = new Work(
      page,
      "blinkNow",
      (progress) => this.begin(progress),
      (made) => this.show(made),
    );
    this.movie = new Movie();
    this.result = el(
      "div",
      { class: "stage", hidden: true },
      this.movie.canvas,
      el(
        "div",
        { class: "row" },
        this.movie.player,
        button("saveGif", () => this.saveGif()),
        button("saveWebp", () => this.saveWebp()),
      ),
    );
    panel.replaceChildren(
      el(
        "div",
        { class: "side" },
        this.source.element,
        this.model.element,
        el("div", { class: "row ends" }, labelled("seconds", this.seconds), labelled("seed", this.seed)),
        this.work.element,
      ),
      this.result,
    );
  }

  /** Show what parameters of the address say. */
  restore(parameters) {
    this.model.restore(parameters);
    const { least, most, usual } = SECONDS;
    if (parameters.has("seconds")) this.seconds.value = parseNumber(parameters.get("seconds"), least, most, usual);
    if (parameters.has("seed")) this.seed.value = Math.round(parseNumber(parameters.get("seed"), 0, MAX_SEED, 0));
    this.source.want(parameters);
    return this.changed();
  }

  get parameters() {
    const { model, seconds, seed, source } = this;
    return new URLSearchParams({
      tab: "blink",
      ...model.parameters,
      seconds: seconds.value,
      seed: seed.value,
      ...source.parameters,
    });
  }

  /** Bring the address to the controls. */
  changed() {
    this.seconds.value = parseNumber(this.seconds.value, SECONDS.least, SECONDS.most, SECONDS.usual);
    this.seed.value = Math.round(parseNumber(this.seed.value, 0, MAX_SEED, 0));
    writeAddress(this.parameters);
    if (this.used?.source !== this.page.source) this.forget();
  }

  forget() {
    this.movie.pause();
    this.result.hidden = true;
  }

  async begin(onProgress) {
    const { source, status, jobs } = this.page;
    if (!source) return status.say("noPicture");
    this.used = { source, parameters: this.parameters, named: this.source.named("blink") };
    const engines = { shipped: await this.page.open("shipped") };
    if (this.model.run !== OURS) engines.run = await this.model.opened();
    const about = { picture: source.picture, seconds: Number(this.seconds.value), seed: Number(this.seed.value) };
    return jobs.start("blink", engines, about, onProgress);
  }

  show({ faces, parts, fps }) {
    if (!faces.length) throw new Failure("noFaceBlinks");
    if (!parts.length) {
      const reasons = [...new Set(faces.map(({ problem }) => say(problem)))].join(", ");
      throw new Failure("noBlink", { reasons });
    }
    this.movie.show(parts, fps);
    this.result.hidden = false;
    return this.result;
  }

  saveGif() {
    const { parts, fps } = this.movie;
    const job = this.page.jobs.start("gif", {}, { parts, fps, comment: String(this.used.parameters) });
    return this.save(job.made, "gif");
  }

  saveWebp() {
    return this.save(this.movie.toWebp(String(this.used.parameters)), "webp");
  }

  /** Save a promised file. */
  async save(file, ending) {
    const { status } = this.page;
    status.say("working");
    try {
      download(await file, `${this.used.named}.${ending}`);
      status.say("done");
    } catch (error) {
      status.fail(error);
    }
  }
}

function number(min, max, step, value, change) {
  return el("input", { type: "number", min, max, step, value, on: { change } });
}
