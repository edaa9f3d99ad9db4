// Calls functions of the page's modules for tests: a request a line on stdin, the answer a line on stdout.

import readline from "node:readline";

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const KINDS = { Uint8ClampedArray, Uint8Array, Float32Array, Float64Array, Int32Array };

const send = (message) => process.stdout.write(`${JSON.stringify(message, encode)}\n`);
const receive = async () => JSON.parse((await lines.next()).value, decode);

function encode(_, value) {
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return { kind: value.constructor.name, base64: bytes.toString("base64") };
  }
  return typeof value === "number" && !Number.isFinite(value) ? { kind: "number", text: String(value) } : value;
}

function decode(_, value) {
  if (value?.kind === "engine") return { ...value.about, run: asked };
  if (!(value?.kind in KINDS)) return value;
  const bytes = Buffer.from(value.base64, "base64");
  return new KINDS[value.kind](bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

async function asked(name, feeds) {
  send({ run: { name, feeds } });
  return receive();
}

for (;;) {
  const request = await lines.next();
  if (request.done) break;
  const { folder, module, source, args } = JSON.parse(request.value, decode);
  const load = (name) => import(new URL(name, folder));
  try {
    const loaded = await load(module);
    const call = source in loaded ? loaded[source] : new Function("load", "m", `return ${source}`)(load, loaded);
    send({ value: (await call(...args)) ?? null });
  } catch (error) {
    send({ error: String(error.stack ?? error) });
  }
}
