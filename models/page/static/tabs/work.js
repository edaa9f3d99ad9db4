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
  /** `begin(onProgress)` returns {made, stop}, of `Jobs.start`, or nothing if there is nothing to do; `show(made)` shows
   * what is made, and returns where. */
  constructor(page, text, begin, show) {
    Object.assign(this, { page, begin, show, last: Promise.resolve() });
    this.startButton = button(text, () => this.start(), { class: "primary" });
    this.stopButton = button("stop", () => this.stop());
    this.bar = el("progress", { max: 1, label: "working" });
    this.running = el("div", { class: "row", hidden: true }, this.stopButton, this.bar);
    this.element = el("div", { class: "row actions" }, this.startButton, this.running);
  }

  /** Do it, in place of what is being done. What fails is shown with a button to try again. */
  start() {
    this.stop();
    this.last = this.last.then(() => busily(this.element, () => this.run()));
    return this.last;
  }

  async run() {
    const { status } = this.page;
    status.clear();
    this.setRunning(true);
    try {
      this.job = await this.begin((share) => (this.bar.value = share));
      if (!this.job) return;
      const made = await this.job.made;
      (await this.show(made)).scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (error.key === "stopped") status.say("stopped");
      else status.fail(error, () => this.start());
    } finally {
      this.job = null;
      this.setRunning(false);
    }
  }

  stop() {
    this.job?.stop();
  }

  setRunning(isRunning) {
    if (isRunning) this.page.status.say();
    this.bar.removeAttribute("value"); // how far it is is not known yet
    this.startButton.hidden = isRunning;
    this.running.hidden = !isRunning;
  }
}
