// Texts of PNG files: what made a picture, and the mark that a network did.

const MAGIC = [137, 80, 78, 71, 13, 10, 26, 10];
const MAX_TEXT = 1 << 20; // bytes

const CRC = Uint32Array.from({ length: 256 }, (_, index) => {
  for (let bit = 0; bit < 8; bit++) index = index & 1 ? (index >>> 1) ^ 0xedb88320 : index >>> 1;
  return index;
});

function crcOf(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Yield [kind, start of the body, end of the body] of each chunk, while they are whole. */
function* chunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length;) {
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > bytes.length) return;
    yield [String.fromCharCode(...bytes.subarray(at + 4, at + 8)), at + 8, end];
    at = end + 4;
  }
}

function chunk(kind, body) {
  const bytes = new Uint8Array(12 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  bytes.set(new TextEncoder().encode(kind), 4);
  bytes.set(body, 8);
  view.setUint32(8 + body.length, crcOf(bytes.subarray(4, 8 + body.length)));
  return bytes;
}

export const isPng = (bytes) => MAGIC.every((byte, index) => bytes[index] === byte);

/** Return a PNG file with texts, by keyword, before its pixels. */
export function withTexts(bytes, texts) {
  const [[, , endOfHead]] = chunks(bytes);
  const head = bytes.subarray(0, endOfHead + 4);
  const added = Object.entries(texts).map(([keyword, text]) =>
    chunk("iTXt", new TextEncoder().encode(`${keyword}\0\0\0\0\0${text}`)),
  );
  return new Blob([head, ...added, bytes.subarray(head.length)], { type: "image/png" });
}

/** Return the texts of a PNG file by keyword: tEXt, and iTXt that is not compressed. */
export function readTexts(bytes) {
  const texts = {};
  if (!isPng(bytes)) return texts;
  for (const [kind, start, end] of chunks(bytes)) {
    if ((kind !== "tEXt" && kind !== "iTXt") || end - start > MAX_TEXT) continue;
    const body = bytes.subarray(start, end);
    const separator = body.indexOf(0);
    if (separator < 1) continue;
    const keyword = new TextDecoder("latin1").decode(body.subarray(0, separator));
    if (kind === "tEXt") texts[keyword] = new TextDecoder("latin1").decode(body.subarray(separator + 1));
    else if (body[separator + 1] === 0) {
      const translated = body.indexOf(0, body.indexOf(0, separator + 3) + 1);
      texts[keyword] = new TextDecoder().decode(body.subarray(translated + 1));
    }
  }
  return texts;
}
