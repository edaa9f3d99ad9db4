// Buttons that take a picture which the page made to another tab.
import { button, el } from "../elements.js";

/** `give()` returns {name, picture, made}: its name, its pixels, and the parameters that made it. */
export function handOver(page, names, give) {
  const buttons = names.map((name) => button(name, () => page.use(name, give())));
  return el("div", { class: "row" }, el("span", { class: "caption", text: "useIn" }), ...buttons);
}
