// The choice of a network: that of a run, or the one that is shipped.
import { showCard } from "../card.js";
import { button, el, labelled, menu } from "../elements.js";
import { Failure } from "../failure.js";

export const OURS = ""; // the run that stands for the networks that are shipped

/** Return the names of the runs that a tab uses. */
export const runsOf = (page, tab) => page.list.models.filter((model) => model.tab === tab).map(({ name }) => name);

export class ModelMenu {
  /** `change(run)` is called when another run is chosen. */
  constructor(page, runs, change = () => {}) {
    Object.assign(this, { page, runs });
    this.menu = menu(
      runs.map((name) => [name, name === OURS ? "shippedModel" : null]),
      change,
    );
    this.element = el(
      "div",
      { class: "model" },
      runs.join() === OURS ? null : labelled("model", this.menu),
      button("about", async () => showCard(await this.opened()), { class: "quiet" }),
    );
  }

  get run() {
    return this.menu.value;
  }

  set run(name) {
    this.menu.value = name;
  }

  /** Choose the run that parameters of an address name, if it is there. */
  restore(parameters) {
    const asked = parameters.get("run") ?? OURS;
    if (this.runs.includes(asked)) this.run = asked;
    else if (asked !== OURS) this.page.status.fail(new Failure("noSuchRun", { run: asked }));
  }

  /** Return what parameters of an address say of it. */
  get parameters() {
    return this.run === OURS ? {} : { run: this.run };
  }

  /** Return a promise of the Export with the network. */
  opened() {
    return this.page.open(this.run === OURS ? "shipped" : `runs/${this.run}`);
  }
}
