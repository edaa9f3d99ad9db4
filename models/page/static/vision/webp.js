// Animated WebP, of still ones that the browser writes, and what is said of it in EXIF.
//
// The container: https://developers.google.com/speed/webp/docs/riff_container

const [HAS_ALPHA, HAS_EXIF, IS_ANIMATED, DO_NOT_BLEND] = [0x10, 0x08, 0x02, 0x02];
const HEADER = 12; // bytes of a file before its chunks
const HEAD = 8; // bytes of a chunk before its content
const DESCRIPTION = 0x010e; // EXIF's ImageDescription

/**
 * Return the bytes of an animation that runs forever.
 * @param frames [{file, corner, width, height, ms}]: a still WebP, the first whole, the others parts at an even corner.
 */
export function animatedWebp(frames, { hasAlpha = false, exif = null } = {}) {
  const [{ width, height }] = frames;
  const flags = IS_ANIMATED | (hasAlpha ? HAS_ALPHA : 0) | (exif ? HAS_EXIF : 0);
  const chunks = [
    chunk("VP8X", bytes([flags, 4], [width - 1, 3], [height - 1, 3])),
    chunk("ANIM", bytes([0, 4], [0, 2])), // background, loops: 0 is forever
    ...frames.map((frame) => {
      const [x, y] = frame.corner;
      const place = bytes(
        [x / 2, 3],
        [y / 2, 3],
        [frame.width - 1, 3],
        [frame.height - 1, 3],
        [frame.ms, 3],
        [DO_NOT_BLEND, 1],
      );
      return chunk("ANMF", place, ...imageChunks(frame.file));
    }),
    ...(exif ? [chunk("EXIF", exif)] : []),
  ];
  return joined(
    ascii("RIFF"),
    bytes([4 + chunks.reduce((sum, each) => sum + each.length, 0), 4]),
    ascii("WEBP"),
    ...chunks,
  );
}

/** Return the chunks of a still WebP that an animation holds: alpha, and the picture. */
function imageChunks(file) {
  return [...chunksOf(file)].filter(([name]) => ["ALPH", "VP8 ", "VP8L"].includes(name)).map(([, whole]) => whole);
}

/** Yield [name, the chunk with its head and padding] of the chunks of a file. */
function* chunksOf(file) {
  for (let at = HEADER; at + HEAD <= file.length;) {
    const length = HEAD + viewOf(file).getUint32(at + 4, true);
    const end = at + length + (length % 2);
    yield [String.fromCharCode(...file.subarray(at, at + 4)), file.subarray(at, end)];
    at = end;
  }
}

export const isWebp = (file) => String.fromCharCode(...file.subarray(0, 4), ...file.subarray(8, HEADER)) === "RIFFWEBP";

/** Return the EXIF data of a description: one entry. */
export function exifOf(description) {
  const text = new TextEncoder().encode(`${description}\0`);
  const entry = bytes([DESCRIPTION, 2], [2, 2], [text.length, 4], [26, 4]);
  return joined(ascii("II"), bytes([42, 2], [8, 4], [1, 2]), entry, bytes([0, 4]), text);
}

/** Return the description in the EXIF data of a file, or "". */
export function readDescription(file) {
  const [, chunk] = [...chunksOf(file)].find(([name]) => name === "EXIF") ?? [];
  try {
    return chunk ? descriptionOf(chunk.subarray(HEAD)) : "";
  } catch {
    return ""; // RangeError: it is damaged
  }
}

function descriptionOf(exif) {
  const view = viewOf(exif);
  const isLittle = exif[0] === ascii("I")[0];
  const first = view.getUint32(4, isLittle);
  for (let entry = 0; entry < view.getUint16(first, isLittle); entry++) {
    const at = first + 2 + 12 * entry;
    if (view.getUint16(at, isLittle) !== DESCRIPTION) continue;
    const start = view.getUint32(at + 8, isLittle);
    const text = exif.subarray(start, start + view.getUint32(at + 4, isLittle));
    return new TextDecoder().decode(text).replace(/\0$/, "");
  }
  return "";
}

const viewOf = (array) => new DataView(array.buffer, array.byteOffset, array.byteLength);

function chunk(name, ...content) {
  const data = joined(...content);
  return joined(ascii(name), bytes([data.length, 4]), data, new Uint8Array(data.length % 2));
}

function bytes(...numbers) {
  return Uint8Array.from(
    numbers.flatMap(([number, count]) => Array.from({ length: count }, (_, i) => number / 2 ** (8 * i))),
  );
}

function ascii(text) {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

function joined(...parts) {
  const made = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) (made.set(part, at), (at += part.length));
  return made;
}
