// The worker that runs networks, seen from the page; and exported runs, whose networks it runs.
import { Background } from "./background.js";
import { Failure } from "./failure.js";

/** A small module with an instruction of WebAssembly SIMD, which the runtime needs. */
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

export class Engine extends Background {
  /** `onProgress(url, loaded bytes, total bytes)` is called while a network's file is downloaded. */
  constructor(onProgress) {
    super("worker.js");
    this.onProgress = onProgress;
  }

  receive({ id, loaded, outputs, failure }) {
    if (loaded === undefined) return this.settle(id, outputs, failure);
    const { file } = this.waiting.get(id);
    return this.onProgress(file.url, loaded, file.bytes);
  }

  /** Return a promise of the outputs of the network in a file, {url, bytes, sha256}: {data, dims} by name, as feeds
   * are. Without feeds the network is loaded, and nothing computed. */
  run(file, feeds = null) {
    if (!WebAssembly.validate(SIMD)) return Promise.reject(new Failure("noSimd"));
    return this.request({ file, feeds }, { file }).answer;
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

  /** Return the SHA-256 of the run's weights; of the networks that are shipped, that of one of them. */
  weightsOf(network) {
    const { weights } = this.described;
    return typeof weights === "string" ? weights : weights?.[network];
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
