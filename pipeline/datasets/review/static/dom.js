// Elements of the page. Whatever they say is set as text, never as markup.

export const $ = (id) => document.getElementById(id);

export function make(tag, content = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = content;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
