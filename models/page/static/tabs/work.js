// A button that starts something long, one that stops it, and how far it is.
import { button, el } from "../elements.js";

/** Do something while the panel of an element is marked as busy. */
export async function busily(element, work) {
  const panel = element.closest("[role=tabpanel]");
  panel.ariaBusy = "true";
  try {
    return await work();
  } finally {
    panel.ariaBusy = "false";
  }
}

export class Work {
  /** `begin()` returns {made, stop}, of `Jobs.start`, or null if there is nothing to do; `show(made)` shows what is made. */
  constructor(page, text, begin, show) {
    Object.assign(this, { page, begin, show });
    this.startButton = button(text, () => this.start(), { class: "primary" });
    this.stopButton = button("stop", () => this.stop(), { hidden: true });
    this.element = el("div", { class: "row actions" }, this.startButton, this.stopButton);
  }

  /** Do it, unless it is being done. What fails is shown with a button to try again. */
  async start() {
    if (this.job) return;
    const { status } = this.page;
    status.clear();
    this.setRunning(true);
    await busily(this.element, () => this.run(status));
    this.setRunning(false);
  }

  async run(status) {
    try {
      this.job = await this.begin((share) => status.say("working", {}, share));
      if (!this.job) return;
      status.say("working");
      const made = await this.job.made;
      status.say();
      await this.show(made);
    } catch (error) {
      if (error.key === "stopped") status.say("stopped");
      else status.fail(error, () => this.start());
    } finally {
      this.job = null;
    }
  }

  stop() {
    this.job?.stop();
  }

  setRunning(isRunning) {
    this.startButton.hidden = isRunning;
    this.stopButton.hidden = !isRunning;
  }
}
