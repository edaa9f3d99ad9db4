// The line that says what the page is doing, and what went wrong.
import { button, el } from "./elements.js";
import { failureOf } from "./failure.js";
import { setText } from "./language.js";

const MEGABYTE = 1e6;

export class Status {
  constructor() {
    this.text = el("span");
    this.bar = el("progress", { max: 1, label: "loading", hidden: true });
    this.line = el("p", { class: "status", role: "status" }, this.text, this.bar);
    this.alert = el("div", { class: "alert", role: "alert", hidden: true });
    this.element = el("div", { class: "messages" }, this.alert, this.line);
  }

  /** Say what is being done, or nothing. `share` of it is done, if that is known. */
  say(key = null, values = {}, share = null) {
    if (key) setText(this.text, key, values);
    else {
      delete this.text.dataset.text;
      this.text.textContent = "";
    }
    this.bar.hidden = share === null;
    if (share !== null) this.bar.value = share;
  }

  /** Say how much of a file is loaded, in bytes. */
  progress(url, loaded, total) {
    if (loaded === total) return this.say();
    const [file, ...sizes] = [url.split("/").at(-1), loaded, total].map((each) =>
      typeof each === "number" ? (each / MEGABYTE).toFixed(1) : each,
    );
    return this.say("loading", { file, loaded: sizes[0], total: sizes[1] }, loaded / total);
  }

  /** Show what went wrong and what to do, until it is closed; with `retry` there is a button for it. */
  fail(error, retry = null) {
    const { key, values } = failureOf(error);
    const hide = () => (this.alert.hidden = true);
    const again = retry && button("tryAgain", () => (hide(), retry()));
    this.alert.replaceChildren(
      el("p", { text: [key, values] }),
      el("div", { class: "row" }, again, button("close", hide)),
    );
    this.alert.hidden = false;
    this.say();
  }

  /** Hide what went wrong before. */
  clear() {
    this.alert.hidden = true;
  }
}
