// Pictures are worked on in a worker of their own, beside that of the networks, so that the page stays alive.
// In: {id, task, about, folders: {name: {folder, described}}}; {stop: id}; {answer: number, outputs or failure}.
// Out: {id, share}; {id, made} or {id, failure}; {ask: number, folder, network, feeds}, to which an answer is expected.

import { Failure, failureOf } from "../failure.js";
import { TASKS } from "./tasks.js";

const stops = new Map(); // id -> AbortController
const asked = new Map(); // number -> {resolve, reject}
let count = 0;

function run(folder, network, feeds) {
  const ask = ++count;
  return new Promise((resolve, reject) => {
    asked.set(ask, { resolve, reject });
    self.postMessage({ ask, folder, network, feeds });
  });
}

function receive({ answer, outputs, failure }) {
  const { resolve, reject } = asked.get(answer);
  asked.delete(answer);
  return failure ? reject(new Failure(failure.key, failure.values)) : resolve(outputs);
}

async function work({ id, task, about, folders }) {
  const stop = new AbortController();
  stops.set(id, stop);
  const engines = Object.entries(folders).map(([name, { folder, described }]) => [
    name,
    { ...described, run: (network, feeds) => run(folder, network, feeds) },
  ]);
  const onProgress = (share) => self.postMessage({ id, share });
  try {
    const made = await TASKS[task]({ ...Object.fromEntries(engines), ...about }, { signal: stop.signal, onProgress });
    self.postMessage({ id, made });
  } catch (error) {
    self.postMessage({ id, failure: error.name === "AbortError" ? { key: "stopped" } : failureOf(error) });
  } finally {
    stops.delete(id);
  }
}

self.addEventListener("message", ({ data }) => {
  if ("stop" in data) stops.get(data.stop)?.abort();
  else if ("answer" in data) receive(data);
  else work(data);
});
