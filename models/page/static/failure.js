// An error that the page explains: `key` is the key of its text, which says what to do.

export class Failure extends Error {
  constructor(key, values = {}) {
    super(key);
    Object.assign(this, { key, values });
  }
}

/** Return {key, values} of any error: to be shown, or sent from a worker. */
export function failureOf(error) {
  return error instanceof Failure
    ? { key: error.key, values: error.values }
    : { key: "computeFailed", values: { detail: String(error) } };
}
