// The mark of a label or an attribute that faces do not follow often enough.
import { el } from "../elements.js";
import { obedience, OBEYED } from "../labels.js";

/** Return an element that says how often it is obeyed, if that is below OBEYED; else null. */
export function obedienceMark(of) {
  const share = obedience(of);
  if (share === null || share >= OBEYED) return null;
  const percent = Math.round(100 * share);
  return el("span", {
    class: "mark",
    role: "img",
    text: ["rarely", { share: percent }],
    label: ["rarelyHint", { share: percent, name: of.name }],
  });
}
