// The picture that the tabs work on: one for all of them, chosen, dropped, or made by the page itself.
import { button, el } from "../elements.js";
import { Failure } from "../failure.js";
import { setText } from "../language.js";
import { readPicture } from "./reading.js";

const TYPES = "image/png,image/jpeg,image/webp,image/gif,image/avif,image/bmp";

export class Source {
  /** `page.source` is {name, picture, digest}, or null; `change()` is called when there is another one. */
  constructor(page, change) {
    Object.assign(this, { page, change });
    this.file = el("input", { type: "file", accept: TYPES, hidden: true, on: { change: () => this.choose() } });
    this.caption = el("p", { class: "caption" });
    this.element = el(
      "div",
      { class: "source" },
      button("choosePicture", () => this.file.click(), { class: "primary" }),
      this.file,
      el("p", { class: "hint", text: "pictureHint" }),
      this.caption,
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
      const read = await readPicture(file);
      this.page.source = read;
      if (read.isAnimated) status.say("animated", { file: read.name });
      this.show();
      if (this.wanted && read.digest && this.wanted.digest !== read.digest) {
        status.fail(new Failure("otherPicture", { file: this.wanted.name }));
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
    setText(this.caption, source ? "sourceOf" : "noPicture", source ? { file: source.name, ...size } : {});
  }

  /** Ask for the picture that parameters of an address belong to, unless it is there. */
  want(parameters) {
    const [name, digest] = [parameters.get("source"), parameters.get("digest") ?? ""];
    const isThere = !name || (this.page.source && (!digest || this.page.source.digest === digest));
    this.wanted = name ? { name, digest } : null;
    this.show();
    if (!isThere) this.page.status.say("chooseAgain", { file: name.slice(0, 100) });
  }

  /** Return what parameters of an address say of the picture. */
  get parameters() {
    const { source } = this.page;
    if (!source) return {};
    return { source: source.name, ...(source.digest && { digest: source.digest }) };
  }

  /** Return a file's name made of the picture's. */
  named(ending) {
    return `${this.page.source.name.replace(/\.\w{1,5}$/, "")}-${ending}`;
  }
}
