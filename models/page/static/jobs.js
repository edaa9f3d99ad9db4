// The worker that works on pictures, seen from the page. It runs no networks: the page passes them on to `Engine`.
import { Background } from "./background.js";
import { failureOf } from "./failure.js";

export class Jobs extends Background {
  /** `open(folder)` gives a promise of an Export. */
  constructor(open) {
    super("vision/worker.js");
    this.open = open;
  }

  /** Return {made: a promise of what a task of vision/tasks.js makes, stop()}. `engines` are exports by the name that the
   * task has for them. A task that is stopped fails with the key `stopped`. */
  start(task, engines, about, onProgress = () => {}) {
    const folders = Object.fromEntries(
      Object.entries(engines).map(([name, { folder, described }]) => [name, { folder, described }]),
    );
    const { id, answer } = this.request({ task, about, folders }, { onProgress });
    return { made: answer, stop: () => this.stop(id) };
  }

  /** Leave a task; the worker does so when the network that computes has come to its end. */
  stop(id) {
    if (!this.waiting.has(id)) return; // it has come to its end
    this.settle(id, null, { key: "stopped" });
    this.worker.postMessage({ stop: id });
  }

  receive({ id, share, made, failure, ask, folder, network, feeds }) {
    if (ask) return this.answer(ask, folder, network, feeds);
    if (!this.waiting.has(id)) return; // it was stopped
    return share === undefined ? this.settle(id, made, failure) : this.waiting.get(id).onProgress(share);
  }

  /** Run a network that a task asks for, and send what it gives. */
  async answer(answer, folder, network, feeds) {
    try {
      const outputs = await (await this.open(folder)).run(network, feeds);
      this.worker.postMessage({ answer, outputs });
    } catch (error) {
      this.worker.postMessage({ answer, failure: failureOf(error) });
    }
  }
}
