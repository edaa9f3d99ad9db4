// What made a picture or an animation, read from its file.
import { isGif, readComment } from "./gif_comments.js";
import { readTexts } from "./png.js";
import { isWebp, readDescription } from "./vision/webp.js";

export const RECIPE = "recipe"; // the text of a PNG file that holds what was in the address
const DIGEST_LETTERS = 16; // of a picture's SHA-256 that the address has
const [BUILTIN, MASK] = ["builtin", "mask"]; // what the page has of AnimateBlink's --reference and --blend

/**
 * Return {parameters: of the address; weights: the SHA-256 of those of the run, if it is there; unknown: options of
 * AnimateBlink that the page lacks}; null if the file holds nothing of the kind.
 */
export function readRecipe(bytes, name) {
  const { [RECIPE]: recipe, weights } = readTexts(bytes);
  const text = recipe ?? (isGif(bytes) ? readComment(bytes) : isWebp(bytes) ? readDescription(bytes) : "");
  if (/^tab=\w+&/.test(text)) return { parameters: new URLSearchParams(text), weights, unknown: "" };
  return ofCommand(text, name.replace(/\.\w{1,5}$/, ""));
}

/** Return the same of what AnimateBlink wrote, a JSON object; `source` is the name of the picture. */
function ofCommand(text, source) {
  try {
    const { run, weights, input, seconds, seed, blend, reference } = JSON.parse(text);
    const digest = input.slice(0, DIGEST_LETTERS);
    const parameters = new URLSearchParams({ tab: "blink", ...(run && { run }), seconds, seed, source, digest });
    const unknown = [blend !== MASK && `--blend ${blend}`, reference !== BUILTIN && "--reference"].filter(Boolean);
    return { parameters, weights, unknown: unknown.join(", ") };
  } catch {
    return null; // it is no such object
  }
}
