// The worker that runs networks, seen from the page; and exported runs, whose networks it runs.
import { Failure } from "./failure.js";

/** A small module with an instruction of WebAssembly SIMD, which the runtime needs. */
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

export class Engine {
  /** `onProgress(url, loaded bytes, total bytes)` is called while a network's file is downloaded. */
  constructor(onProgress) {
    this.onProgress = onProgress;
    this.waiting = new Map();
    this.asked = 0;
    this.started = null;
  }

  get worker() {
    if (!this.started) {
      this.started = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
      this.started.addEventListener("message", ({ data }) => this.receive(data));
      this.started.addEventListener("error", () => this.fail());
    }
    return this.started;
  }

  receive({ id, loaded, outputs, failure }) {
    const { file, resolve, reject } = this.waiting.get(id);
    if (loaded !== undefined) return this.onProgress(file.url, loaded, file.bytes);
    this.waiting.delete(id);
    return failure ? reject(new Failure(failure.key, failure.values)) : resolve(outputs);
  }

  /** Fail what waits; another worker is started for what comes next. */
  fail() {
    for (const { reject } of this.waiting.values()) reject(new Failure("runtimeFailed", { detail: "worker.js" }));
    this.waiting.clear();
    this.started = null;
  }

  /** Return a promise of the outputs of the network in a file, {url, bytes, sha256}: {data, dims} by name, as feeds
   * are. Without feeds the network is loaded, and nothing computed. */
  run(file, feeds = null) {
    if (!WebAssembly.validate(SIMD)) return Promise.reject(new Failure("noSimd"));
    const id = ++this.asked;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { file, resolve, reject });
      this.worker.postMessage({ id, file, feeds });
    });
  }
}

/** A folder that ExportONNX made: `described` is its model.json. It is an engine as the modules in vision/ want one:
 * {networks, run(network, feeds) -> promise of outputs}. */
export class Export {
  constructor(engine, folder, described) {
    Object.assign(this, { engine, folder, described });
  }

  /** Return a promise of the export in a folder of the page. */
  static async open(engine, folder) {
    return new Export(engine, folder, await fetchJson(`${folder}/model.json`));
  }

  /** What model.json says of each network, by name. */
  get networks() {
    return this.described.networks;
  }

  /** Return a promise of the outputs of one of its networks, see `Engine.run`. */
  run(network, feeds) {
    const { file, bytes, sha256 } = this.described.networks[network];
    const url = new URL(`${this.folder}/${file}`, document.baseURI).href;
    return this.engine.run({ url, bytes, sha256 }, feeds);
  }
}

/** Return a promise of a JSON file of the page. */
export async function fetchJson(name) {
  let response;
  try {
    response = await fetch(name);
  } catch {
    throw new Failure("offline", { file: name });
  }
  if (!response.ok) throw new Failure("missing", { file: name, status: response.status });
  try {
    return await response.json();
  } catch {
    throw new Failure("corrupt", { file: name });
  }
}
