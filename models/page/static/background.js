// A worker of the page: it is started when it is first needed, and another one after it has failed.
import { Failure } from "./failure.js";

export class Background {
  /** `script` is the worker's module, beside this one. */
  constructor(script) {
    Object.assign(this, { script, waiting: new Map(), count: 0, started: null });
  }

  get worker() {
    if (!this.started) {
      this.started = new Worker(new URL(this.script, import.meta.url), { type: "module" });
      this.started.addEventListener("message", ({ data }) => this.receive(data));
      this.started.addEventListener("error", () => this.fail());
    }
    return this.started;
  }

  /** Send a request. Return {id, answer: a promise, which `settle` keeps}; `about` is kept in `waiting` until then. */
  request(message, about = {}) {
    const id = ++this.count;
    const answer = new Promise((resolve, reject) => {
      this.waiting.set(id, { ...about, resolve, reject });
      this.worker.postMessage({ id, ...message });
    });
    return { id, answer };
  }

  /** End a request with a value, or with a failure, {key, values}. */
  settle(id, value, failure) {
    const { resolve, reject } = this.waiting.get(id);
    this.waiting.delete(id);
    if (failure) reject(new Failure(failure.key, failure.values));
    else resolve(value);
  }

  /** Fail what waits; another worker is started for what comes next. */
  fail() {
    for (const id of [...this.waiting.keys()])
      this.settle(id, null, { key: "runtimeFailed", values: { detail: this.script } });
    this.started?.terminate();
    this.started = null;
  }
}
