// The comment of a GIF file: what made it.

const MAGIC = "GIF8";
const HEADER = 13; // bytes before the colours
const FLAGS = 10; // where the header says how many colours there are
const [EXTENSION, COMMENT] = [0x21, 0xfe];
const MAX_BLOCK = 255; // bytes

export const isGif = (bytes) => new TextDecoder().decode(bytes.subarray(0, MAGIC.length)) === MAGIC;

/** Return a GIF file with a comment before its pictures. */
export function withComment(bytes, comment) {
  const start = endOfColors(bytes);
  return new Blob([bytes.subarray(0, start), commentBlock(comment), bytes.subarray(start)], { type: "image/gif" });
}

/** Return the first comment before the pictures of a GIF file, or "". */
export function readComment(bytes) {
  for (let at = endOfColors(bytes); bytes[at] === EXTENSION;) {
    const isComment = bytes[at + 1] === COMMENT;
    const parts = [];
    for (at += 2; bytes[at]; at += 1 + bytes[at]) parts.push(...bytes.subarray(at + 1, at + 1 + bytes[at]));
    if (isComment) return new TextDecoder().decode(Uint8Array.from(parts));
    at++;
  }
  return "";
}

function endOfColors(bytes) {
  return HEADER + (bytes[FLAGS] & 0x80 ? 3 * 2 ** ((bytes[FLAGS] & 7) + 1) : 0);
}

/** Return a comment extension: blocks of 255 bytes at most, each after its length. */
function commentBlock(comment) {
  const text = new TextEncoder().encode(comment);
  const parts = [EXTENSION, COMMENT];
  for (let at = 0; at < text.length; at += MAX_BLOCK) {
    const part = text.subarray(at, at + MAX_BLOCK);
    parts.push(part.length, ...part);
  }
  return Uint8Array.from([...parts, 0]);
}
