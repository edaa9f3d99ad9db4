// The language of the page: English or Japanese.
import { TEXTS as OF_PICTURES } from "./tabs/texts.js";
import { NAMES, TEXTS as OWN } from "./texts.js";

const TEXTS = { ...OWN, ...OF_PICTURES };

export const LANGUAGES = { en: "English", ja: "日本語" };
const KEPT = "language"; // in the browser's storage

let current = "en";
export const language = () => current;

/** Return a text of the page in the current language, with `{name}` replaced by values. */
export function say(key, values = {}) {
  const [en, ja] = TEXTS[key] ?? [key, key];
  return (current === "ja" ? ja : en).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** Return the name of a label, an attribute or a domain: in Japanese if it is a frequent one, else as it is. */
export function nameOf(name) {
  const short = name.replace(/_hair$/, "");
  return current === "ja" && Object.hasOwn(NAMES, short) ? NAMES[short] : name.replaceAll("_", " ");
}

/** Set an element's text, which follows the language from now on. */
export function setText(element, key, values = {}) {
  Object.assign(element.dataset, { text: key, values: JSON.stringify(values) });
  element.textContent = say(key, values);
}

/** Set an element's text to the name of a label, which follows the language from now on. */
export function setName(element, name) {
  element.dataset.name = name;
  element.textContent = nameOf(name);
}

/** Set an element's tooltip. */
export function setHint(element, key) {
  element.dataset.hint = key;
  element.title = say(key);
}

/** Set an element's label, for those who do not see it. */
export function setLabel(element, key, values = {}) {
  Object.assign(element.dataset, { label: key, labelValues: JSON.stringify(values) });
  element.setAttribute(
    "aria-label",
    say(key, values.name === undefined ? values : { ...values, name: nameOf(values.name) }),
  );
}

/** Change the language of everything that is shown. */
export function setLanguage(code) {
  current = code;
  document.documentElement.lang = code;
  for (const element of document.querySelectorAll("[data-text]")) {
    setText(element, element.dataset.text, JSON.parse(element.dataset.values));
  }
  for (const element of document.querySelectorAll("[data-name]")) setName(element, element.dataset.name);
  for (const element of document.querySelectorAll("[data-hint]")) setHint(element, element.dataset.hint);
  for (const element of document.querySelectorAll("[data-label]")) {
    setLabel(element, element.dataset.label, JSON.parse(element.dataset.labelValues));
  }
  document.title = say("title");
  try {
    localStorage.setItem(KEPT, code);
  } catch {
    // a page that may store nothing asks again next time
  }
}

/** Return the language that was chosen before, or the browser's. */
export function preferredLanguage() {
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {
    // as above
  }
  return kept in LANGUAGES ? kept : navigator.language.startsWith("ja") ? "ja" : "en";
}
