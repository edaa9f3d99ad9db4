// An error that the page explains: `key` is the key of its text, which says what to do.

export class Failure extends Error {
  constructor(key, values = {}) {
    super(key);
    Object.assign(this, { key, values });
  }
}
