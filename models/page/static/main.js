// The page: its head, its tabs, and what is dropped on it.
import { readAddress, writeAddress } from "./address.js";
import { button, el, labelled } from "./elements.js";
import { Engine, Export, fetchJson } from "./engine.js";
import { Failure } from "./failure.js";
import { Jobs } from "./jobs.js";
import { LANGUAGES, preferredLanguage, setLanguage } from "./language.js";
import { RECIPE, readRecipe } from "./recipe.js";
import { Status } from "./status.js";
import { remember } from "./tabs/source.js";

/** The tabs, by name: what mounts one, when it is first shown. It gives {restore(parameters)}, and `source`, a Source, if
 * it works on pictures. */
const TABS = {
  generate: () => import("./generate/tab.js"),
  convert: () => import("./tabs/convert.js"),
  upscale: () => import("./tabs/upscale.js"),
  blink: () => import("./tabs/blink.js"),
  find: () => import("./tabs/find.js"),
};
const NAMES = Object.keys(TABS);
const SHIPPED = { upscale: "upscaler", blink: "blink" }; // what tabs use of the shipped networks where there is no run

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
  accept: "image/png,image/gif,image/webp",
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

/** Return the tab to begin with: the first one that has a run. */
const firstTab = () => NAMES.find((name) => page.list.models.some(({ tab }) => tab === name)) ?? "blink";

function show(shown) {
  const isNew = panels[shown].hidden;
  for (const name of NAMES) {
    panels[name].hidden = name !== shown;
    buttons[name].setAttribute("aria-selected", String(name === shown));
    buttons[name].tabIndex = name === shown ? 0 : -1;
  }
  if (isNew) buttons[shown].scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** Show the tab in the address, as the address says. */
async function restore() {
  const parameters = readAddress();
  let shown = NAMES.find((name) => name === parameters.get("tab"));
  status.clear();
  try {
    page.list ??= await fetchJson("models.json");
    shown ??= firstTab();
    show(shown);
    mounted[shown] ??= TABS[shown]().then(({ mount }) => mount(panels[shown], page));
    await (await mounted[shown]).restore(parameters);
    if (!panels[shown].ariaBusy) panels[shown].ariaBusy = "false"; // of a tab that paints when it is told to
  } catch (error) {
    shown ??= NAMES[0];
    show(shown);
    delete mounted[shown];
    panels[shown].replaceChildren();
    status.fail(error, restore);
  }
}

/** Restore what made a picture that this page saved. */
async function openFile(file) {
  if (!file) return;
  status.clear();
  const recipe = readRecipe(new Uint8Array(await file.arrayBuffer()), file.name);
  if (!recipe) return status.fail(new Failure("noRecipe", { file: file.name }));
  writeAddress(recipe.parameters, { isNew: true });
  await restore();
  if (recipe.unknown) return status.fail(new Failure("otherOptions", { options: recipe.unknown }));
  const now = await weightsOf(readAddress());
  if (now && recipe.weights && recipe.weights !== now) return status.fail(new Failure("otherWeights"));
  return status.say("restored");
}

/** Return the SHA-256 of the weights that parameters of an address use; undefined if they are not in the page. */
async function weightsOf(parameters) {
  const run = parameters.get("run");
  if (run && !page.list.models.some(({ name }) => name === run)) return undefined;
  return (await page.open(run ? `runs/${run}` : "shipped")).weightsOf(SHIPPED[parameters.get("tab")]);
}

/** Give a dropped file to the tab that is shown, if that works on pictures. */
async function drop(file) {
  if (!file) return;
  const tab = await mounted[NAMES.find((name) => !panels[name].hidden)];
  await (tab?.source ? tab.source.take(file) : openFile(file));
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
