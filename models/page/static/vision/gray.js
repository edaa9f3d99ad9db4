// Grey pictures, such as scanned manga, that stay grey: models/sampling/animation.py.

const MAX_CHROMA = 16; // levels between the strongest and the weakest of R, G and B: a region of which GREY_SHARE of
const GREY_SHARE = 0.99; // the pixels have no more is grey

/** Return how far the colours of an RGB picture are from grey on average, if it is grey; null if it is coloured. */
export function tintOf({ data }) {
  const spreads = new Uint8Array(data.length / 3);
  const sums = [0, 0, 0];
  for (let at = 0, from = 0; at < spreads.length; at++, from += 3) {
    const [r, g, b] = [data[from], data[from + 1], data[from + 2]];
    spreads[at] = Math.max(r, g, b) - Math.min(r, g, b);
    const luma = lumaOf(r, g, b);
    sums[0] += r - luma;
    sums[1] += g - luma;
    sums[2] += b - luma;
  }
  return percentile(spreads, GREY_SHARE) > MAX_CHROMA ? null : sums.map((sum) => sum / spreads.length);
}

export function lumaOf(r, g, b) {
  return 0.299 * r + 0.587 * g + 0.114 * b;
}

function percentile(numbers, share) {
  const sorted = numbers.sort();
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  return sorted[below] + (place - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}
