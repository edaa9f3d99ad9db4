// The items of the dataset, which of them are shown, and in which order.

export function itemsOf(catalog) {
  const { ids, columns, corrections } = catalog;
  return ids.map((id, index) => ({
    id,
    index,
    color: columns.hair_color ? columns.hair_color[index] ?? "none" : null,
    certainty: columns.certainty?.[index] ?? null,
    score: columns.score?.[index] ?? null,
    tilt: columns.tilt?.[index] ?? null,
    source: columns.source?.[index] ?? null,
    correction: corrections[id] ?? null,
  }));
}

const COLORED = "hair_color=";

export const isRecolored = (item) => item.correction?.startsWith(COLORED) ?? false;

// The hair colour: the one given by hand, if there is one.
export const colorOf = (item) => (isRecolored(item) ? item.correction.slice(COLORED.length) : item.color);

export const STATES = {
  all: () => true,
  undecided: (item) => item.correction === null,
  kept: (item) => item.correction === "keep",
  dropped: (item) => item.correction === "drop",
  recolored: isRecolored,
};

const by = (key) => (a, b) => (key(a) ?? Infinity) - (key(b) ?? Infinity) || a.index - b.index;

// Name of an order -> the column that it needs, and a function of the list of colours that returns how to compare items.
export const ORDERS = {
  manifest: [null, () => by((item) => item.index)],
  hair_color: ["hair_color", (colors) => by((item) => colors.indexOf(colorOf(item)) + item.certainty / 2)],
  score_up: ["score", () => by((item) => item.score)],
  score_down: ["score", () => by((item) => item.score && -item.score)],
  tilt: ["tilt", () => by((item) => item.tilt && -Math.abs(item.tilt))],
  source: ["source", () => (a, b) => (a.source ?? "").localeCompare(b.source ?? "") || a.index - b.index],
};

export function select(items, { color, state, source, order }, colors) {
  return items
    .filter((item) => (!color || colorOf(item) === color) && (!source || item.source === source))
    .filter(STATES[state])
    .sort(ORDERS[order][1](colors));
}

export function count(items, key) {
  const counts = new Map();
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1);
  return counts;
}
