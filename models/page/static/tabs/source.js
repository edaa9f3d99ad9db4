// The picture that the tabs work on: one for all of them, chosen, dropped, or made by the page itself.
import { button, el } from "../elements.js";
import { Failure } from "../failure.js";
import { setText } from "../language.js";
import { readPicture } from "./reading.js";
import { busily } from "./work.js";

export const MAX_NAME = 100; // letters of a file's name that are shown
const TYPES = "image/png,image/jpeg,image/webp,image/gif,image/avif,image/bmp";

const RECENT = 4; // pictures that the browser's back button returns to

/** Take a picture for all tabs. */
export function remember(page, source) {
  page.source = source;
  page.recent = [source, ...page.recent.filter((other) => other !== source)].slice(0, RECENT);
}

export class Source {
  /** `page.source` is {name, picture}, and `digest` of a file, or `made` of what the page made: the parameters that did;
   * or null. `change()` is called when there is another one. */
  constructor(page, change) {
    Object.assign(this, { page, change });
    this.file = el("input", { type: "file", accept: TYPES, hidden: true, on: { change: () => this.choose() } });
    this.caption = el("p", { class: "caption" });
    this.note = el("p", { class: "caption", text: "animated", hidden: true });
    this.again = button("makeAgain", () => (location.hash = this.wanted.made), { hidden: true });
    this.element = el(
      "div",
      { class: "source" },
      button("choosePicture", () => this.file.click(), { class: "primary" }),
      this.file,
      el("p", { class: "hint", text: "pictureHint" }),
      this.caption,
      this.note,
      this.again,
    );
  }

  choose() {
    const [file] = this.file.files;
    this.file.value = ""; // so that the same one can be chosen again
    return file && this.take(file);
  }

  /** Take a file that was chosen or dropped. */
  async take(file) {
    const { status } = this.page;
    status.clear();
    try {
      const read = await busily(this.element, () => readPicture(file));
      const { wanted } = this;
      this.wanted = null;
      remember(this.page, read);
      this.again.hidden = true;
      this.show();
      if (wanted && read.digest && wanted.digest !== read.digest) {
        status.fail(new Failure("otherPicture", { file: wanted.name.slice(0, MAX_NAME) }));
      }
      await this.change();
    } catch (error) {
      status.fail(error);
    }
  }

  /** Show which picture there is. */
  show() {
    const { source } = this.page;
    const size = source && { width: source.picture.width, height: source.picture.height };
    this.note.hidden = !source?.isAnimated;
    const file = (source ?? this.wanted)?.name.slice(0, MAX_NAME);
    setText(this.caption, source ? "sourceOf" : file ? "chooseAgain" : "noPicture", { file, ...size });
  }

  /** Take the picture that parameters of an address belong to, or ask for it. */
  want(parameters) {
    const { page } = this;
    const [name, digest, made] = ["source", "digest", "made"].map((key) => parameters.get(key) ?? "");
    const isWanted = (source) =>
      [source.name, source.digest ?? "", source.made ?? ""].join() === [name, digest, made].join();
    if (name) page.source = page.recent.find(isWanted) ?? null;
    this.wanted = name && !page.source ? { name, digest, made } : null;
    this.again.hidden = !this.wanted?.made;
    this.show();
  }

  /** Return what parameters of an address say of the picture. */
  get parameters() {
    const { name, digest, made } = this.page.source ?? this.wanted ?? {};
    return Object.fromEntries(Object.entries({ source: name, digest, made }).filter(([, text]) => text));
  }

  /** Return a file's name made of the picture's. */
  named(ending) {
    return `${this.page.source.name.replace(/\.\w{1,5}$/, "")}-${ending}`;
  }
}
