// The panel: the original of the active item, what is known of it, and which buttons are pressed.

import { $, make } from "./dom.js";
import { colorOf } from "./items.js";
import { drawPicture } from "./picture.js";
import { get } from "./server.js";
import { text } from "./texts.js";

const DELAY = 120; // ms that an item is active before its original is fetched

let timer = 0;
let shown = null;

// Show an item, or nothing if it is undefined.
export function showItem(item) {
  $("panel").inert = !item;
  for (const button of document.querySelectorAll("[data-what]")) {
    button.ariaPressed = item?.correction === button.dataset.what;
    button.classList.toggle("now", button.dataset.what === `hair_color=${item && colorOf(item)}`);
  }
  if (item === shown) return;
  shown = item;
  clearTimeout(timer);
  timer = setTimeout(showOriginal, DELAY, item);
}

async function showOriginal(item) {
  let detail = { facts: {} };
  let picture = make("span");
  try {
    if (item) {
      detail = await get(`details/${item.id}`);
      picture = await drawPicture(item, detail, text.original);
    }
  } catch {
    picture.textContent = text.no_original;
  }
  if (item !== shown) return;
  $("enlarge").replaceChildren(picture);
  $("large").firstElementChild.replaceChildren(picture.cloneNode(true));
  $("facts").replaceChildren(...Object.entries(detail.facts).flatMap(([name, value]) => [
    make("dt", text.about[name]),
    make("dd", readable(value)),
  ]));
}

function readable(value) {
  if (typeof value === "number") return Number(value.toFixed(2));
  return Array.isArray(value) ? value.join(", ") : value;
}
