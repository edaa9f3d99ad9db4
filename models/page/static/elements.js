// Elements of the page. What is shown is always text: nothing here parses HTML.
import { setHint, setLabel, setText } from "./language.js";

/** Return an element. `text`, `label` and `hint` are keys of the texts, the first two perhaps [key, values]; `on` are
 * listeners by event; other properties become attributes, and those that are false, null or undefined are left out. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  const { text, label, hint, on = {}, ...attributes } = properties;
  if (text) setText(element, ...[text].flat());
  if (label) setLabel(element, ...[label].flat());
  if (hint) setHint(element, hint);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

export const button = (text, press, properties = {}) =>
  el("button", { type: "button", text, on: { click: press }, ...properties });

let numbered = 0;

/** Return a new id, to tie a label to its control. */
export const newId = () => `e${++numbered}`;

/** Return a control with its label before it. */
export function labelled(text, control, ...more) {
  control.id ||= newId();
  return el("div", { class: "field" }, el("label", { text, for: control.id }), control, ...more);
}

/** Return a menu of options, [value, key of its text] each; a text is shown as it is if its key is null. */
export function menu(options, change) {
  const select = el("select", { on: { change: () => change(select.value) } });
  for (const [value, text] of options)
    select.append(el("option", { value, ...(text && { text }) }, text ? null : value));
  return select;
}
