// The page: filters above, the grid, and the active item with what can be done to it.

import { Grid } from "./grid.js";
import { ORDERS, STATES, colorOf, count, isRecolored, itemsOf, select } from "./items.js";
import { drawPicture } from "./picture.js";
import { get, post } from "./server.js";
import { switchLanguage, text, translate } from "./texts.js";

const PICTURE_DELAY = 120; // ms that an item is active before its original is fetched

const $ = (id) => document.getElementById(id);

const catalog = await get("items");
const items = itemsOf(catalog);
const itemOf = new Map(items.map((item) => [item.id, item]));
const chosen = { color: "", state: "all", source: "", order: catalog.colors.length ? "hair_color" : "manifest" };
const undoable = []; // Maps of id -> the correction before
let saving = Promise.resolve(); // one request after another, in the order in which keys were pressed

function make(tag, content = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = content;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// ---- What is said of an item

function correctionText(what) {
  if (what === null) return text.undecided;
  return { keep: text.kept, drop: text.dropped }[what] ?? text.colored(text.colors[what.split("=")[1]]);
}

function describe(item) {
  const facts = [item.color && text.colors[colorOf(item)], item.source, item.correction && correctionText(item.correction)];
  return [`${catalog.item} ${item.index + 1}`, ...facts].filter(Boolean).join(", ");
}

function drawCell(cell, item) {
  if (!cell.firstChild) {
    const image = make("img", "", { alt: "", decoding: "async", loading: "lazy", src: `thumbnails/${item.id}` });
    cell.append(image, make("span", "", { class: "hair" }), make("span", "", { class: "mark" }));
  }
  const [, hair, mark] = cell.children;
  cell.setAttribute("aria-label", describe(item));
  cell.dataset.state = isRecolored(item) ? "recolored" : item.correction ?? "";
  mark.textContent = { keep: "✓", drop: "✕", recolored: "✎" }[cell.dataset.state] ?? "";
  hair.dataset.color = colorOf(item) ?? "";
}

// ---- The active item

let pictureTimer = 0;

function showActive() {
  const [item] = grid.items.length ? [grid.items[grid.active]] : [];
  const several = grid.selected.length;
  $("panel").toggleAttribute("inert", !item);
  $("status").textContent = !item ? "" : several > 1 ? text.several(several) : text.position(grid.active + 1, grid.items.length);
  for (const button of document.querySelectorAll("[data-what]")) {
    button.setAttribute("aria-pressed", item?.correction === button.dataset.what);
  }
  for (const button of $("recolor").children) button.classList.toggle("now", Boolean(item) && button.dataset.what === `hair_color=${colorOf(item)}`);
  clearTimeout(pictureTimer);
  pictureTimer = setTimeout(showPicture, PICTURE_DELAY, item);
}

async function showPicture(item) {
  const [place, facts] = [$("enlarge"), $("facts")];
  if (!item) return [place, facts].forEach((each) => each.replaceChildren());
  let detail, picture;
  try {
    detail = await get(`details/${item.id}`);
    picture = await drawPicture(item, detail, text.original);
  } catch {
    picture = make("span", text.no_original);
  }
  if (item !== grid.items[grid.active]) return; // another one is active by now
  place.replaceChildren(picture);
  $("large").firstElementChild.replaceChildren(picture.cloneNode(true));
  facts.replaceChildren(...Object.entries(detail?.facts ?? {}).flatMap(([name, value]) => {
    const shown = Array.isArray(value) ? value.join(", ") : typeof value === "number" ? Number(value.toFixed(2)) : value;
    return [make("dt", text.about[name]), make("dd", shown)];
  }));
}

const enlarge = () => grid.items.length && $("large").showModal();

const grid = new Grid($("grid"), drawCell, showActive);

// ---- Corrections

// Write corrections, id -> what, and return those before; null if they could not be written.
async function write(changes) {
  const before = new Map([...changes.keys()].map((id) => [id, itemOf.get(id).correction]));
  try {
    await post("corrections", Object.fromEntries(changes));
  } catch (error) {
    return say(text.not_saved(text[error.message] ?? error.message)), null;
  }
  $("problem").hidden = true;
  for (const [id, what] of changes) itemOf.get(id).correction = what;
  showCounts();
  grid.redraw();
  showActive();
  return before;
}

function correct(what) {
  const selected = grid.selected;
  if (!selected.length) return;
  saving = saving.then(async () => {
    const before = await write(new Map(selected.map((item) => [item.id, what])));
    if (!before) return;
    undoable.push(before);
    $("status").textContent = text.saved(correctionText(what), selected.length);
  });
  grid.moveTo(Math.max(grid.active, grid.anchor) + 1);
}

function undo() {
  saving = saving.then(async () => {
    const before = undoable.pop();
    if (before && !(await write(before))) return undoable.push(before);
    const at = before ? grid.items.indexOf(itemOf.get(before.keys().next().value)) : -1;
    if (at >= 0) grid.moveTo(at);
    $("status").textContent = before ? text.undone : text.nothing_to_undo;
  });
}

function say(problem) {
  $("problem").textContent = problem;
  $("problem").hidden = false;
}

async function finish() {
  await saving;
  try {
    await post("done", {});
  } catch (error) {
    return say(text[error.message] ?? error.message);
  }
  document.body.replaceChildren(make("p", text.over(catalog.file), { id: "over", role: "status" }));
}

// ---- Filters and texts

function showCounts() {
  const states = Object.fromEntries(Object.entries(STATES).map(([name, holds]) => [name, items.filter(holds).length]));
  const recolored = catalog.colors.length ? states.recolored : null;
  $("progress").textContent = text.progress(items.length, states.kept, states.dropped, recolored);
  const colors = count(items, colorOf);
  for (const button of $("colors").children) {
    const color = button.dataset.color;
    button.lastElementChild.textContent = color ? colors.get(color) ?? 0 : items.length;
    button.setAttribute("aria-pressed", chosen.color === color);
  }
}

function showList() {
  const active = grid.items[grid.active];
  const list = select(items, chosen, catalog.colors);
  grid.show(list, Math.max(0, list.indexOf(active)));
  $("empty").hidden = list.length > 0;
  showCounts();
}

function fill(name, options) {
  $(name).replaceChildren(...options.map(([value, label]) => make("option", label, { value })));
  $(name).value = chosen[name];
}

function showTexts() {
  translate();
  $("name").textContent = document.title = text.title(catalog.name);
  $("language").textContent = text.language;
  const colors = ["", ...catalog.colors];
  $("colors").replaceChildren(...colors.map((color) => {
    const button = make("button", "", { type: "button", "data-color": color });
    button.append(make("i"), make("span", color ? text.colors[color] : text.every), make("b"));
    return button;
  }));
  $("recolor").replaceChildren(...catalog.colors.map((color, index) => {
    const button = make("button", "", { type: "button", "data-color": color, "data-what": `hair_color=${color}` });
    button.append(make("i"), make("span", text.colors[color]), make("kbd", (index + 1) % 10));
    return button;
  }));
  const has = { hair_color: catalog.colors.length, score_up: catalog.columns.score, score_down: catalog.columns.score,
    tilt: catalog.columns.tilt, source: catalog.columns.source, manifest: true };
  const sources = [...count(items, (item) => item.source ?? "").keys()].filter(Boolean).sort();
  const states = Object.keys(STATES).filter((name) => name !== "recolored" || catalog.colors.length);
  fill("state", states.map((name) => [name, text[name]]));
  fill("source", [["", text.every], ...sources.map((name) => [name, name])]);
  fill("order", Object.keys(ORDERS).filter((name) => has[name]).map((name) => [name, text[name]]));
  $("colors").hidden = $("recolor").hidden = !catalog.colors.length;
  $("keys").querySelector("dl").replaceChildren(
    ...text.help.flatMap(([key, does]) => [make("dt", key), make("dd", does)]));
  showCounts();
}

// ---- Events

$("colors").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) (chosen.color = button.dataset.color), showList();
});
for (const name of ["state", "source", "order"]) {
  $(name).addEventListener("change", () => ((chosen[name] = $(name).value), showList()));
}
$("panel").addEventListener("click", (event) => {
  const button = event.target.closest("[data-what]");
  if (button) correct(button.dataset.what);
});
$("enlarge").addEventListener("click", enlarge);
$("grid").addEventListener("dblclick", enlarge);
$("undo").addEventListener("click", undo);
$("done").addEventListener("click", finish);
$("help").addEventListener("click", () => $("keys").showModal());
$("language").addEventListener("click", () => (switchLanguage(), showTexts(), grid.redraw(), showActive()));

document.addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  if (key === "z" && (event.ctrlKey || event.metaKey)) return event.preventDefault(), undo();
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select") || $("keys").open) return;
  const color = /^[0-9]$/.test(key) && catalog.colors.at((Number(key) + 9) % 10);
  if (key === "k") correct("keep");
  else if (key === "d") correct("drop");
  else if (color) correct(`hair_color=${color}`);
  else if (key === "u") undo();
  else if (key === "?") $("keys").showModal();
  else if (key === "enter" && event.target === $("grid")) event.preventDefault(), enlarge();
  else grid.onKey(event);
});

showTexts();
showList();
$("grid").focus();
document.body.dataset.ready = "";
