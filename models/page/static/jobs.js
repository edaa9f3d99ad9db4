// The worker that works on pictures, seen from the page. It runs no networks: the page passes them on to `Engine`.
import { Failure } from "./failure.js";

export class Jobs {
  /** `open(folder)` gives a promise of an Export. */
  constructor(open) {
    this.open = open;
    this.waiting = new Map();
    this.count = 0;
    this.started = null;
  }

  get worker() {
    if (!this.started) {
      this.started = new Worker(new URL("./vision/worker.js", import.meta.url), { type: "module" });
      this.started.addEventListener("message", ({ data }) => this.receive(data));
      this.started.addEventListener("error", () => this.fail());
    }
    return this.started;
  }

  /** Return {made: a promise of what a task of vision/tasks.js makes, stop()}. `engines` are exports by the name that the
   * task has for them. A task that is stopped fails with the key `stopped`. */
  start(task, engines, about, onProgress = () => {}) {
    const id = ++this.count;
    const folders = Object.fromEntries(
      Object.entries(engines).map(([name, { folder, described }]) => [name, { folder, described }]),
    );
    const made = new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, onProgress });
      this.worker.postMessage({ id, task, about, folders });
    });
    return { made, stop: () => this.stop(id) };
  }

  /** Leave a task; the worker does so when the network that computes has come to its end. */
  stop(id) {
    this.waiting.get(id)?.reject(new Failure("stopped"));
    this.waiting.delete(id);
    this.worker.postMessage({ stop: id });
  }

  receive({ id, share, made, failure, ask, folder, network, feeds }) {
    if (ask) return this.answer(ask, folder, network, feeds);
    if (!this.waiting.has(id)) return; // it was stopped
    const { resolve, reject, onProgress } = this.waiting.get(id);
    if (share !== undefined) return onProgress(share);
    this.waiting.delete(id);
    return failure ? reject(new Failure(failure.key, failure.values)) : resolve(made);
  }

  /** Run a network that a task asks for, and send what it gives. */
  async answer(answer, folder, network, feeds) {
    try {
      const outputs = await (await this.open(folder)).run(network, feeds);
      this.worker.postMessage({ answer, outputs });
    } catch (error) {
      const { key = "computeFailed", values = { detail: String(error) } } = error;
      this.worker.postMessage({ answer, failure: { key, values } });
    }
  }

  fail() {
    for (const { reject } of this.waiting.values())
      reject(new Failure("runtimeFailed", { detail: "vision/worker.js" }));
    this.waiting.clear();
    this.started = null;
  }
}
