// The page: filters above, the grid, and the panel of the active item with what can be done to it.

import { correctionText, drawCell } from "./cell.js";
import { $, make } from "./dom.js";
import { Grid } from "./grid.js";
import { ORDERS, STATES, colorOf, count, itemsOf, select } from "./items.js";
import { showItem } from "./panel.js";
import { get, post } from "./server.js";
import { switchLanguage, text, translate } from "./texts.js";

const catalog = await get("items");
const items = itemsOf(catalog);
const itemOf = new Map(items.map((item) => [item.id, item]));
const hasColors = catalog.colors.length > 0;
const chosen = { color: "", state: "all", source: "", order: hasColors ? "hair_color" : "manifest" };
const undoable = []; // Maps of id -> the correction before
const review = new AbortController(); // aborted when it is over
let saving = Promise.resolve(); // one request after another, in the order in which keys were pressed

const grid = new Grid($("grid"), drawCell, showActive);

function showActive() {
  const [all, selected] = [grid.items.length, grid.selected.length];
  showItem(grid.items[grid.active]);
  const position = all ? text.position(grid.active + 1, all) : "";
  $("status").textContent = selected > 1 ? text.several(selected) : position;
}

// ---- Corrections

// Write corrections, id -> what, and return those before. Throws if they could not be written.
async function write(changes) {
  const before = new Map([...changes.keys()].map((id) => [id, itemOf.get(id).correction]));
  await post("corrections", Object.fromEntries(changes));
  for (const [id, what] of changes) itemOf.get(id).correction = what;
  $("problem").hidden = true;
  showCounts();
  grid.redraw();
  showActive();
  return before;
}

// Do something once all before it is saved; say so if it fails.
function save(action) {
  saving = saving.then(action).catch((error) => {
    $("problem").textContent = text.not_saved(text[error.message] ?? error.message);
    $("problem").hidden = false;
  });
}

function correct(what) {
  const selected = grid.selected;
  if (!selected.length) return;
  save(async () => {
    undoable.push(await write(new Map(selected.map((item) => [item.id, what]))));
    const [named, several] = [correctionText(what), selected.length];
    $("status").textContent = several > 1 ? text.saved_several(named, several) : text.saved(named);
  });
  grid.moveTo(Math.max(grid.active, grid.anchor) + 1);
}

function undo() {
  save(async () => {
    const before = undoable.at(-1);
    if (before) {
      await write(before);
      undoable.pop();
      const [first] = before.keys();
      const at = grid.items.indexOf(itemOf.get(first));
      if (at >= 0) grid.moveTo(at);
    }
    $("status").textContent = before ? text.undone : text.nothing_to_undo;
  });
}

function finish() {
  save(async () => {
    await post("done", {});
    review.abort();
    for (const each of document.body.children) each.inert = each !== $("over");
    $("over").hidden = false;
    $("over").textContent = text.over(catalog.file);
  });
}

// ---- What is shown, and in which words

function showCounts() {
  const [kept, dropped, recolored] = ["kept", "dropped", "recolored"].map((name) => items.filter(STATES[name]).length);
  const progress = text.progress(items.length, kept, dropped);
  $("progress").textContent = progress + (hasColors ? text.progress_recolored(recolored) : "");
  const colors = count(items, colorOf);
  for (const button of $("colors").children) {
    const color = button.dataset.color;
    button.lastElementChild.textContent = color ? colors.get(color) ?? 0 : items.length;
    button.ariaPressed = chosen.color === color;
  }
}

function showList() {
  const active = grid.items[grid.active];
  const list = select(items, chosen, catalog.colors);
  grid.show(list, Math.max(0, list.indexOf(active)));
  $("empty").hidden = list.length > 0;
  showCounts();
}

function choose(name, value) {
  chosen[name] = value;
  showList();
}

function fillSelect(name, options) {
  $(name).replaceChildren(...options.map(([value, label]) => make("option", label, { value })));
  $(name).value = chosen[name];
}

function colorButton(color, last, attributes = {}) {
  const button = make("button", "", { type: "button", "data-color": color, ...attributes });
  button.append(make("i"), make("span", color ? text.colors[color] : text.every), last);
  return button;
}

function showTexts() {
  translate();
  $("name").textContent = document.title = text.title(catalog.name);
  $("language").textContent = text.language;
  $("colors").hidden = $("recolor").hidden = !hasColors;
  $("colors").replaceChildren(...["", ...catalog.colors].map((color) => colorButton(color, make("b"))));
  $("recolor").replaceChildren(...catalog.colors.map((color, index) =>
    colorButton(color, make("kbd", (index + 1) % 10), { "data-what": `hair_color=${color}` })));
  const states = Object.keys(STATES).filter((name) => hasColors || name !== "recolored");
  const orders = Object.keys(ORDERS).filter((name) => !ORDERS[name][0] || ORDERS[name][0] in catalog.columns);
  const sources = [...new Set(items.map((item) => item.source))].filter(Boolean).sort();
  fillSelect("state", states.map((name) => [name, text[name]]));
  fillSelect("order", orders.map((name) => [name, text[name]]));
  fillSelect("source", [["", text.every], ...sources.map((name) => [name, name])]);
  const help = text.help.flatMap(([keys, what]) => [make("dt", keys), make("dd", what)]);
  $("keys").querySelector("dl").replaceChildren(...help);
  showCounts();
}

// ---- Events

const enlarge = () => grid.items.length && $("large").showModal();

$("colors").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) choose("color", button.dataset.color);
});
for (const name of ["state", "source", "order"]) {
  $(name).addEventListener("change", (event) => choose(name, event.target.value));
}
$("panel").addEventListener("click", (event) => {
  const button = event.target.closest("[data-what]");
  if (button) correct(button.dataset.what);
});
$("grid").addEventListener("dblclick", enlarge);
$("enlarge").addEventListener("click", enlarge);
$("undo").addEventListener("click", undo);
$("done").addEventListener("click", finish);
$("help").addEventListener("click", () => $("keys").showModal());
$("language").addEventListener("click", () => {
  switchLanguage();
  showTexts();
  grid.redraw();
  showItem();
  showActive();
});

document.addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  const isControl = event.ctrlKey || event.metaKey;
  if (event.target.matches("select") || $("keys").open || event.altKey || (isControl && key !== "z")) return;
  const color = /^[0-9]$/.test(key) && catalog.colors.at(key - 1);
  if (key === "k") correct("keep");
  else if (key === "d") correct("drop");
  else if (color) correct(`hair_color=${color}`);
  else if (key === "u" || isControl) undo();
  else if (key === "?") $("keys").showModal();
  else if (key === "enter" && event.target === $("grid")) enlarge();
  else if (!grid.move(event)) return;
  event.preventDefault();
}, { signal: review.signal });

showTexts();
showList();
$("grid").focus();
document.body.dataset.ready = "";
