// A cell of the grid: the thumbnail, the hair colour, and a mark for the correction.

import { make } from "./dom.js";
import { colorOf, isRecolored } from "./items.js";
import { text } from "./texts.js";

const MARKS = { keep: "✓", drop: "✕", recolored: "✎" };

export function correctionText(what) {
  return { keep: text.kept, drop: text.dropped }[what] ?? text.colored(text.colors[what.split("=")[1]]);
}

export function drawCell(cell, item) {
  if (!cell.firstChild) {
    const image = make("img", "", { alt: "", decoding: "async", loading: "lazy", src: `thumbnails/${item.id}` });
    cell.append(image, make("span", "", { class: "hair" }), make("span", "", { class: "mark" }));
  }
  const [, hair, mark] = cell.children;
  const state = isRecolored(item) ? "recolored" : item.correction;
  cell.dataset.state = state ?? "";
  mark.textContent = MARKS[state] ?? "";
  hair.dataset.color = colorOf(item) ?? "";
  const color = item.color && text.colors[colorOf(item)];
  const correction = item.correction && correctionText(item.correction);
  cell.ariaLabel = [item.index + 1, color, item.source, correction].filter(Boolean).join(", ");
}
