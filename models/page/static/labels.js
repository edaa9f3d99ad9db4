// The labels of a conditional network: which are fixed, and which are drawn as training faces have them together.
import { Random } from "./seeds.js";

export const HAIR_COLORS = ["blonde", "brown", "black", "blue", "pink", "purple", "green", "red", "silver"];
export const OBEYED = 0.8; // share of samples below which a label or an attribute is marked

/** Return the hair colour that a label stands for, or null. */
export function hairColorOf(label) {
  const color = label.replace(/_hair$/, "");
  return HAIR_COLORS.includes(color) ? color : null;
}

/** Return the labels that a network was trained on a face of. */
export const learned = (described) => (described.labels ?? []).filter((label) => label.count > 0);

/** Return the input `labels` of a face: weights of all labels. `fixed` are weights by name; the others are drawn from
 * the combinations of training faces that agree with what is fixed, by the face's seed. */
export function conditionOf(described, fixed, seed) {
  const names = described.labels.map((label) => label.name);
  const drawn = names.map(() => 0);
  const combination = drawCombination(described.priors, names, fixed, seed);
  for (const index of combination) drawn[index] = 1;
  const hairIsFixed = names.some((name) => hairColorOf(name) && fixed[name] > 0);
  return Float32Array.from(names, (name, index) => {
    if (Object.hasOwn(fixed, name)) return fixed[name];
    return hairIsFixed && hairColorOf(name) ? 0 : drawn[index];
  });
}

/** Return the numbers of the labels of one of the combinations: of those that have what is fixed, and one of the hair
 * colours that are mixed; of all if there is none. */
function drawCombination(priors, names, fixed, seed) {
  const hair = names.filter((name) => hairColorOf(name) && fixed[name] > 0);
  const isFitting = ({ labels }) => {
    const has = (name) => labels.includes(names.indexOf(name));
    const others = names.filter((name) => Object.hasOwn(fixed, name) && !hair.includes(name));
    return (!hair.length || hair.some(has)) && others.every((name) => has(name) === fixed[name] > 0);
  };
  const fitting = priors.filter(isFitting);
  const choices = fitting.length ? fitting : priors;
  let left = new Random("labels", seed).uniform() * choices.reduce((sum, { share }) => sum + share, 0);
  for (const { labels, share } of choices) {
    left -= share;
    if (left < 0) return labels;
  }
  return choices.at(-1)?.labels ?? [];
}

/** Return the share of samples that have a label or an attribute when it is asked for; null if it was not measured. */
export function obedience({ obeyed }) {
  const shares = [obeyed].flat().filter((share) => typeof share === "number");
  return shares.length ? Math.max(...shares) : null;
}
