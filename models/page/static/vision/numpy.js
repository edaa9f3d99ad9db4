// NumPy's default random generator: PCG64 of O'Neill 2014, seeded by a SeedSequence.

const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const WORD = 32n;
const LONG = (1n << 64n) - 1n;
const WIDE = (1n << 128n) - 1n;
const POOL = 4;

/** Return {uniform, integer, share} of a whole number, a BigInt of 64 bits: what default_rng of it draws. */
export function generatorOf(seed) {
  const [stateHigh, stateLow, sequenceHigh, sequenceLow] = seedState(seed);
  const increment = ((((sequenceHigh << 64n) | sequenceLow) << 1n) | 1n) & WIDE;
  const next = (state) => (state * MULTIPLIER + increment) & WIDE;
  let state = next((increment + ((stateHigh << 64n) | stateLow)) & WIDE);
  let kept = null; // the upper half of the last 64 bits, if only the lower one has been used

  const long = () => {
    state = next(state);
    const mixed = (state >> 64n) ^ (state & LONG);
    const turn = state >> 122n;
    return ((mixed >> turn) | (mixed << (64n - turn))) & LONG;
  };
  const word = () => {
    if (kept !== null) {
      const found = kept;
      kept = null;
      return found;
    }
    const both = long();
    kept = both >> WORD;
    return both & 0xffffffffn;
  };
  const share = () => Number(long() >> 11n) / 2 ** 53;

  return {
    /** Return a number of 0 to 1. */
    share,
    /** Return a number of `low` to `high`. */
    uniform: (low, high) => low + (high - low) * share(),
    /** Return a whole number from `low` to `end` - 1: Lemire 2019. */
    integer(low, end) {
      const count = BigInt(end - low);
      const least = (0x100000000n - count) % count;
      let product = word() * count;
      while ((product & 0xffffffffn) < least) product = word() * count;
      return low + Number(product >> WORD);
    },
  };
}

/** Return four numbers of 64 bits: SeedSequence(seed).generate_state(4, uint64). */
function seedState(seed) {
  const entropy = [Number(seed & 0xffffffffn), Number(seed >> WORD)];
  let constant = 0x43b0d7e5;
  const hash = (value) => {
    const before = (value ^ constant) >>> 0;
    constant = Math.imul(constant, 0x931e8875) >>> 0;
    return folded(Math.imul(before, constant) >>> 0);
  };
  const pool = Array.from({ length: POOL }, (_, i) => hash(entropy[i] ?? 0));
  for (let from = 0; from < POOL; from++)
    for (let to = 0; to < POOL; to++)
      if (from !== to)
        pool[to] = folded((Math.imul(0xca01f9dd, pool[to]) - Math.imul(0x4973f715, hash(pool[from]))) >>> 0);
  constant = 0x8b51f9dd;
  const words = Array.from({ length: 2 * POOL }, (_, i) => {
    const before = (pool[i % POOL] ^ constant) >>> 0;
    constant = Math.imul(constant, 0x58f38ded) >>> 0;
    return BigInt(folded(Math.imul(before, constant) >>> 0));
  });
  return Array.from({ length: POOL }, (_, i) => words[2 * i] | (words[2 * i + 1] << WORD));
}

function folded(value) {
  return (value ^ (value >>> 16)) >>> 0;
}
