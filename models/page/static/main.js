// The page: its head, its tabs, and what is dropped on it.
import { readAddress, writeAddress } from "./address.js";
import { button, el, labelled } from "./elements.js";
import { Engine, Export, fetchJson } from "./engine.js";
import { Failure } from "./failure.js";
import { Jobs } from "./jobs.js";
import { LANGUAGES, preferredLanguage, setLanguage } from "./language.js";
import { readTexts } from "./png.js";
import { Status } from "./status.js";
import { remember } from "./tabs/source.js";

/** The tabs, by name: what mounts one, when it is first shown. It gives {restore(parameters)}, and take(file) if it
 * works on pictures. */
const TABS = {
  generate: () => import("./generate/tab.js"),
  convert: () => import("./tabs/convert.js"),
  upscale: () => import("./tabs/upscale.js"),
  blink: () => import("./tabs/blink.js"),
  find: () => import("./tabs/find.js"),
};
const NAMES = Object.keys(TABS);
const RECIPE = "recipe"; // the text of a PNG file that holds what was in the address

const status = new Status();
const opened = new Map(); // folder -> promise of an Export
const page = {
  status,
  engine: new Engine((url, loaded, total) => status.progress(url, loaded, total)),
  /** What models.json says. */
  list: null,
  /** Return a promise of the export in a folder, which is read once. */
  open(folder) {
    if (!opened.has(folder)) {
      const promise = Export.open(page.engine, folder);
      promise.catch(() => opened.delete(folder));
      opened.set(folder, promise);
    }
    return opened.get(folder);
  },
  jobs: new Jobs((folder) => page.open(folder)),
  /** The picture that tabs work on, see tabs/source.js. */
  source: null,
  recent: [],
  /** Show a tab with another picture. */
  use(name, source) {
    remember(page, source);
    return choose(name);
  },
  /** Return the texts of a PNG file of a picture that the parameters made. */
  textsOf: (parameters, more) => ({
    [page.list.mark.keyword]: page.list.mark.text,
    [RECIPE]: String(parameters),
    ...more,
  }),
};

const panels = {};
const mounted = {}; // name -> promise of what `mount` gave
const buttons = Object.fromEntries(NAMES.map((name) => [name, tabButton(name)]));
const files = el("input", {
  type: "file",
  accept: "image/png",
  hidden: true,
  on: { change: () => openFile(files.files[0]) },
});

function tabButton(name) {
  panels[name] = el("section", {
    role: "tabpanel",
    id: `panel-${name}`,
    "aria-labelledby": `tab-${name}`,
    hidden: true,
  });
  return button(name, () => choose(name), {
    role: "tab",
    id: `tab-${name}`,
    "aria-controls": `panel-${name}`,
    on: { click: () => choose(name), keydown: moveAlong },
  });
}

/** Move between tabs by the arrow keys. */
function moveAlong(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const next = NAMES[(NAMES.indexOf(event.target.id.slice(4)) + step + NAMES.length) % NAMES.length];
  buttons[next].focus();
  choose(next);
}

function choose(name) {
  writeAddress(new URLSearchParams({ tab: name }), { isNew: true });
  return restore();
}

/** Show the tab in the address, as the address says. */
async function restore() {
  const parameters = readAddress();
  const shown = NAMES.includes(parameters.get("tab")) ? parameters.get("tab") : NAMES[0];
  for (const name of NAMES) {
    panels[name].hidden = name !== shown;
    buttons[name].setAttribute("aria-selected", String(name === shown));
    buttons[name].tabIndex = name === shown ? 0 : -1;
  }
  status.clear();
  try {
    page.list ??= await fetchJson("models.json");
    mounted[shown] ??= TABS[shown]().then(({ mount }) => mount(panels[shown], page));
    await (await mounted[shown]).restore(parameters);
    if (!panels[shown].ariaBusy) panels[shown].ariaBusy = "false"; // of a tab that paints when it is told to
  } catch (error) {
    delete mounted[shown];
    panels[shown].replaceChildren();
    status.fail(error, restore);
  }
}

/** Restore what made a picture that this page saved. */
async function openFile(file) {
  if (!file) return;
  status.clear();
  const texts = readTexts(new Uint8Array(await file.arrayBuffer()));
  if (!texts[RECIPE]) return status.fail(new Failure("noRecipe", { file: file.name }));
  writeAddress(new URLSearchParams(texts[RECIPE]), { isNew: true });
  await restore();
  const run = readAddress().get("run");
  const now =
    run && page.list.models.some(({ name }) => name === run) && (await page.open(`runs/${run}`)).described.weights;
  if (now && texts.weights && texts.weights !== now) return status.fail(new Failure("otherWeights"));
  return status.say("restored");
}

/** Give a dropped file to the tab that is shown, if that works on pictures. */
async function drop(file) {
  if (!file) return;
  const tab = await mounted[NAMES.find((name) => !panels[name].hidden)];
  await (tab?.take ? tab.take(file) : openFile(file));
}

function watchDrops() {
  const over = (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    document.body.classList.toggle("dropping", event.type === "dragover");
    if (event.type === "drop") drop(event.dataTransfer.files[0]);
  };
  for (const type of ["dragover", "dragleave", "drop"]) document.addEventListener(type, over);
}

function head() {
  const options = Object.entries(LANGUAGES).map(([value, name]) => el("option", { value, lang: value }, name));
  const language = el("select", { on: { change: () => setLanguage(language.value) } }, ...options);
  language.value = preferredLanguage();
  return el(
    "header",
    {},
    el("h1", { text: "title" }),
    el(
      "div",
      { class: "row tools" },
      button("openPicture", () => files.click(), { class: "quiet" }),
      files,
      labelled("language", language),
    ),
    el("div", { role: "tablist", label: "tabs" }, ...NAMES.map((name) => buttons[name])),
  );
}

document.body.append(
  head(),
  el("main", {}, status.element, ...Object.values(panels)),
  el("footer", {}, el("p", { text: "private" })),
);
setLanguage(preferredLanguage());
watchDrops();
window.addEventListener("popstate", restore);
restore();
