// What made a picture, as text: in the address after `#`, and in the PNG's text `recipe`.

/** Return the parameters in the address. */
export const readAddress = () => new URLSearchParams(location.hash.slice(1));

/** Put parameters into the address; `isNew` makes a step that the browser's back button returns to. */
export function writeAddress(parameters, { isNew = false } = {}) {
  const address = `#${parameters}`;
  if (address === location.hash) return;
  history[isNew ? "pushState" : "replaceState"](null, "", address);
}

/** Return `name:number,name:number` of numbers by name. */
export const formatNumbers = (numbers) =>
  Object.entries(numbers)
    .map(([name, number]) => `${encodeURIComponent(name)}:${number}`)
    .join(",");

/** Return numbers by name; parts of the text that are none are left out. */
export function parseNumbers(text) {
  const numbers = {};
  for (const part of (text ?? "").split(",")) {
    const [, name, number] = /^([^:]+):(-?\d{1,4}(?:\.\d{1,6})?)$/.exec(part) ?? [];
    try {
      if (name) numbers[decodeURIComponent(name)] = Number(number);
    } catch {
      // no name
    }
  }
  return numbers;
}

/** Return a number of the text within bounds, or another one if it is none. */
export function parseNumber(text, least, most, otherwise) {
  const number = text === null || text.trim() === "" ? NaN : Number(text);
  return Number.isFinite(number) ? Math.min(most, Math.max(least, number)) : otherwise;
}
