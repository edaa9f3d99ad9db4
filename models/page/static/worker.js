// Networks in a worker of their own, so that the page stays alive while they compute.
// In: {id, file: {url, bytes, sha256}, feeds}; without feeds it only loads. Out: {id, loaded} while a file is downloaded;
// then {id, outputs}, or {id, failure: {key, values}}. Feeds and outputs: {data: Float32Array, dims: [...]} by name.

import { Failure, failureOf } from "./failure.js";

const MAX_THREADS = 4;
const sessions = new Map(); // url -> promise of a session

let starting = null;
const start = () => (starting ??= startRuntime());

async function startRuntime() {
  try {
    const ort = await import("./runtime/ort.mjs");
    ort.env.wasm.wasmPaths = new URL("./runtime/", import.meta.url).href;
    ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(MAX_THREADS, navigator.hardwareConcurrency) : 1;
    ort.env.logLevel = "error";
    return ort;
  } catch (error) {
    throw new Failure("runtimeFailed", { detail: String(error) });
  }
}

async function download({ url, bytes, sha256 }, onLoaded) {
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new Failure("offline", { file: url });
  }
  if (!response.ok) throw new Failure("missing", { file: url, status: response.status });
  const content = new Uint8Array(bytes);
  let loaded = 0;
  const reader = response.body.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (loaded + part.value.length > bytes) throw new Failure("corrupt", { file: url });
      content.set(part.value, loaded);
      loaded += part.value.length;
      onLoaded(loaded);
    }
  } catch (error) {
    throw error instanceof Failure ? error : new Failure("offline", { file: url });
  }
  if (loaded !== bytes || !(await hasSum(content, sha256))) throw new Failure("corrupt", { file: url });
  return content;
}

/** Return whether bytes have a SHA-256; true on plain http, where the browser does not compute it. */
async function hasSum(content, sha256) {
  if (!crypto.subtle) return true;
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return Array.from(sum, (byte) => byte.toString(16).padStart(2, "0")).join("") === sha256;
}

async function open(file, onLoaded) {
  const [ort, content] = await Promise.all([start(), download(file, onLoaded)]);
  try {
    return await ort.InferenceSession.create(content, { executionProviders: ["wasm"] });
  } catch (error) {
    throw new Failure("runtimeFailed", { detail: String(error) });
  }
}

function sessionOf(file, onLoaded) {
  if (!sessions.has(file.url)) {
    const opened = open(file, onLoaded);
    opened.catch(() => sessions.delete(file.url)); // to be tried again
    sessions.set(file.url, opened);
  }
  return sessions.get(file.url);
}

async function compute(session, feeds) {
  const { Tensor } = await start();
  const inputs = Object.entries(feeds).map(([name, { data, dims }]) => [name, new Tensor("float32", data, dims)]);
  try {
    const outputs = await session.run(Object.fromEntries(inputs));
    return Object.fromEntries(
      Object.entries(outputs).map(([name, { data, dims }]) => [name, { data, dims: [...dims] }]),
    );
  } catch (error) {
    throw new Failure("computeFailed", { detail: String(error) });
  }
}

let turn = Promise.resolve(); // networks compute one after another

self.addEventListener("message", ({ data: { id, file, feeds } }) => {
  const ready = sessionOf(file, (loaded) => self.postMessage({ id, loaded }));
  ready.catch(() => {}); // reported below
  turn = turn.then(async () => {
    try {
      const session = await ready;
      const outputs = feeds ? await compute(session, feeds) : {};
      self.postMessage(
        { id, outputs },
        Object.values(outputs).map(({ data }) => data.buffer),
      );
    } catch (error) {
      self.postMessage({ id, failure: failureOf(error) });
    }
  });
});
