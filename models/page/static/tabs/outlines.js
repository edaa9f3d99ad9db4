// A picture with the outlines of faces, numbered; a square can be drawn on it.
import { el } from "../elements.js";
import { corners, square } from "../vision/boxes.js";
import { canvasOf } from "./shown.js";

const [LINE, LETTERS] = [1 / 300, 1 / 30]; // of the picture's longer side
const COLOR = "#5b4bd6";
const PICKED = "#d6246b";

export class Outlines {
  /** `frame(face)` is called when a square is drawn with the pointer. */
  constructor(frame = null) {
    this.frame = frame;
    this.canvas = el("canvas", { class: "outlines", role: "img", label: "pictureWithFaces" });
    this.drawn = null;
    if (frame) {
      this.canvas.addEventListener("pointerdown", (event) => this.begin(event));
      this.canvas.addEventListener("pointermove", (event) => this.draw(event));
      this.canvas.addEventListener("pointerup", (event) => this.end(event));
      this.canvas.addEventListener("pointercancel", () => (this.drawn = null));
    }
  }

  /** Show a picture with faces, one of which may be picked. */
  show(picture, faces, picked = null) {
    if (picture !== this.picture) {
      this.ground = canvasOf(picture);
      Object.assign(this.canvas, { width: picture.width, height: picture.height });
      this.picture = picture;
    }
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, picture.width, picture.height);
    context.drawImage(this.ground, 0, 0);
    faces.forEach((face, index) => this.outline(context, face, face === picked ? PICKED : COLOR, index + 1));
  }

  outline(context, face, color, number) {
    const longer = Math.max(this.picture.width, this.picture.height);
    const points = corners(square(face));
    const path = new Path2D();
    points.forEach(([x, y], index) => (index ? path.lineTo(x, y) : path.moveTo(x, y)));
    path.closePath();
    context.lineJoin = "round";
    for (const [style, width] of [
      ["white", 2.4 * LINE],
      [color, LINE],
    ]) {
      Object.assign(context, { strokeStyle: style, lineWidth: Math.max(1, width * longer) });
      context.stroke(path);
    }
    const [x, y] = points[0];
    Object.assign(context, {
      font: `600 ${Math.max(9, LETTERS * longer)}px system-ui, sans-serif`,
      textBaseline: "bottom",
    });
    Object.assign(context, { strokeStyle: "white", lineWidth: Math.max(2, 1.5 * LINE * longer), fillStyle: color });
    const top = Math.max(y, Math.max(9, LETTERS * longer) * 1.2);
    context.strokeText(number, x, top);
    context.fillText(number, x, top);
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.picture.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  begin(event) {
    if (!this.picture) return;
    this.drawn = this.place(event);
    this.canvas.setPointerCapture(event.pointerId);
  }

  /** Return the square from where the pointer went down to where it is. */
  squareTo(event) {
    const [[startX, startY], [x, y]] = [this.drawn, this.place(event)];
    const side = Math.max(Math.abs(x - startX), Math.abs(y - startY));
    const [left, top] = [x < startX ? startX - side : startX, y < startY ? startY - side : startY];
    return { box: [left, top, left + side, top + side].map(Math.round), tilt: 0, score: 1 };
  }

  draw(event) {
    if (this.drawn) this.frame(this.squareTo(event), false);
  }

  end(event) {
    if (!this.drawn) return;
    const face = this.squareTo(event);
    this.drawn = null;
    this.frame(face, true);
  }
}
