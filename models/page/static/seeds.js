// Random numbers of a seed: those that GenerateFaces draws, so that a seed is the same face here and there.
// models/seeds.py hashes the purpose and the seed; torch's generator is mt19937; z of N(0, 1) is torch's Box-Muller.

const ROUND = new Uint32Array(64);
const START = new Uint32Array(8);
for (let candidate = 2, found = 0; found < 64; candidate++) {
  let isPrime = true;
  for (let divisor = 2; divisor * divisor <= candidate; divisor++) isPrime &&= candidate % divisor !== 0;
  if (!isPrime) continue;
  if (found < 8) START[found] = (Math.sqrt(candidate) % 1) * 2 ** 32;
  ROUND[found++] = (Math.cbrt(candidate) % 1) * 2 ** 32;
}
const turn = (x, by) => (x >>> by) | (x << (32 - by));

/** Return the SHA-256 of a text, as eight words. crypto.subtle has it too, but not on plain http. */
export function sha256(text) {
  const bytes = new TextEncoder().encode(text);
  const padded = new DataView(new ArrayBuffer(((bytes.length + 72) >> 6) << 6));
  bytes.forEach((byte, index) => padded.setUint8(index, byte));
  padded.setUint8(bytes.length, 0x80);
  padded.setUint32(padded.byteLength - 4, bytes.length * 8);
  const state = START.slice();
  const w = new Uint32Array(64);
  for (let block = 0; block < padded.byteLength; block += 64) {
    for (let i = 0; i < 16; i++) w[i] = padded.getUint32(block + 4 * i);
    for (let i = 16; i < 64; i++) {
      const early = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ (w[i - 15] >>> 3);
      const late = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ (w[i - 2] >>> 10);
      w[i] = w[i - 16] + early + w[i - 7] + late;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const first = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUND[i] + w[i]) | 0;
      const second = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, index) => (state[index] += word));
  }
  return state;
}

/** Numbers as torch draws them on a CPU from `torch.Generator().manual_seed(seed_for(purpose, seed))`. */
export class Random {
  constructor(purpose, seed) {
    const [high, low] = sha256(`('${purpose}', ${seed})`); // 63 bits, of which mt19937 takes the last 32
    this.state = new Uint32Array(624);
    this.state[0] = (high << 31) | (low >>> 1);
    for (let i = 1; i < 624; i++) {
      const last = this.state[i - 1];
      this.state[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i;
    }
    this.used = 624;
  }

  /** Return 32 bits. */
  bits() {
    const s = this.state;
    if (this.used === 624) {
      for (let i = 0; i < 624; i++) {
        const y = (s[i] & 0x80000000) | (s[(i + 1) % 624] & 0x7fffffff);
        s[i] = s[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      this.used = 0;
    }
    let y = s[this.used++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** Return a number of U(0, 1) with 24 bits: torch.rand(1). */
  uniform() {
    return (this.bits() & 0xffffff) / 2 ** 24;
  }

  /** Return a number of U(0, 1) with 53 bits. */
  double() {
    const high = this.bits() & 0x1fffff;
    return (high * 2 ** 32 + this.bits()) / 2 ** 53;
  }

  /** Return `count` numbers of U(-1, 1): torch.rand(count) * 2 - 1. */
  uniforms(count) {
    return Float32Array.from({ length: count }, () => this.uniform() * 2 - 1);
  }

  /** Return `count` numbers of N(0, 1): torch.randn(count). */
  normals(count) {
    if (count < 16) return this.fewNormals(count);
    const numbers = Float32Array.from({ length: count }, () => this.uniform());
    for (let start = 0; start + 16 <= count; start += 16) turnNormal(numbers.subarray(start, start + 16));
    if (count % 16) {
      const rest = numbers.subarray(count - 16);
      for (let i = 0; i < 16; i++) rest[i] = this.uniform();
      turnNormal(rest);
    }
    return numbers;
  }

  fewNormals(count) {
    const numbers = new Float32Array(count + 1);
    for (let i = 0; i < count; i += 2) {
      const angle = 2 * Math.PI * this.double();
      const radius = Math.sqrt(-2 * Math.log1p(-this.double()));
      numbers.set([radius * Math.cos(angle), radius * Math.sin(angle)], i);
    }
    return numbers.subarray(0, count);
  }
}

/** Replace 16 numbers of U(0, 1) by ones of N(0, 1). */
function turnNormal(numbers) {
  for (let i = 0; i < 8; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - numbers[i]));
    const angle = 2 * Math.PI * numbers[i + 8];
    numbers[i] = radius * Math.cos(angle);
    numbers[i + 8] = radius * Math.sin(angle);
  }
}

/** Return a seed that nobody has chosen. */
export const anySeed = () => crypto.getRandomValues(new Uint32Array(1))[0] % 1000000000;
