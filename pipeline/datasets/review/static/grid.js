// A list box of square cells. Only the cells in view are in the document, so that it scrolls well at any length.

const LEAST_CELL = 96; // px
const SPARE_ROWS = 3; // above and below what is in view

export class Grid {
  #space = document.createElement("div");
  #cells = new Map(); // index -> element
  #columns = 1;
  #pitch = LEAST_CELL;
  #frame = 0;

  // draw(element, item) fills a cell; onMove() is called when another item becomes the active one, or is selected too.
  constructor(box, draw, onMove) {
    Object.assign(this, { box, draw, onMove, items: [], active: 0, anchor: 0 });
    this.#space.setAttribute("role", "presentation");
    box.append(this.#space);
    box.addEventListener("scroll", () => this.#renderSoon(), { passive: true });
    box.addEventListener("click", (event) => {
      const cell = event.target.closest("[role=option]");
      if (cell) this.moveTo(Number(cell.dataset.index), event.shiftKey);
    });
    new ResizeObserver(() => this.#layOut()).observe(box);
  }

  show(items, active = 0) {
    this.items = items;
    this.active = this.anchor = Math.min(active, Math.max(items.length - 1, 0));
    this.box.scrollTop = 0;
    this.#layOut();
    this.onMove();
  }

  // The items that are selected: the active one, or all from the one where the selection began.
  get selected() {
    return this.items.slice(Math.min(this.active, this.anchor), Math.max(this.active, this.anchor) + 1);
  }

  moveTo(index, extend = false) {
    if (!this.items.length) return;
    this.active = Math.max(0, Math.min(index, this.items.length - 1));
    if (!extend) this.anchor = this.active;
    this.#scrollToActive();
    this.redraw();
    this.onMove();
  }

  // Draw the cells in view again.
  redraw() {
    for (const [index, cell] of this.#cells) this.#drawCell(cell, index);
    this.#render();
  }

  // Move as a key says; return whether it is one that moves.
  move(event) {
    const page = this.#columns * Math.max(1, Math.floor(this.box.clientHeight / this.#pitch) - 1);
    const step = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.#columns, ArrowDown: this.#columns,
      PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity,
    }[event.key];
    if (step !== undefined) this.moveTo(this.active + step, event.shiftKey);
    return step !== undefined;
  }

  #layOut() {
    const width = this.#space.clientWidth;
    if (!width) return;
    this.#columns = Math.max(2, Math.floor(width / LEAST_CELL));
    this.#pitch = width / this.#columns;
    this.#space.style.height = `${Math.ceil(this.items.length / this.#columns) * this.#pitch}px`;
    for (const cell of this.#cells.values()) cell.remove();
    this.#cells.clear();
    this.#scrollToActive();
    this.#render();
  }

  #scrollToActive() {
    const top = Math.floor(this.active / this.#columns) * this.#pitch;
    const lowest = top + this.#pitch - this.box.clientHeight;
    if (this.box.scrollTop > top) this.box.scrollTop = top;
    else if (this.box.scrollTop < lowest) this.box.scrollTop = lowest;
  }

  #renderSoon() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#render();
    });
  }

  #render() {
    const { scrollTop, clientHeight } = this.box;
    const first = Math.max(0, (Math.floor(scrollTop / this.#pitch) - SPARE_ROWS) * this.#columns);
    const rows = Math.ceil(clientHeight / this.#pitch) + 2 * SPARE_ROWS + 1;
    const last = Math.min(this.items.length, first + rows * this.#columns);
    for (const [index, cell] of this.#cells) {
      if (index < first || index >= last) {
        cell.remove();
        this.#cells.delete(index);
      }
    }
    for (let index = first; index < last; index += 1) {
      if (!this.#cells.has(index)) this.#cells.set(index, this.#newCell(index));
    }
    if (this.items.length) this.box.setAttribute("aria-activedescendant", `cell-${this.active}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  #newCell(index) {
    const cell = document.createElement("div");
    cell.id = `cell-${index}`;
    cell.dataset.index = index;
    cell.setAttribute("role", "option");
    cell.ariaPosInSet = index + 1;
    cell.ariaSetSize = this.items.length;
    cell.style.width = cell.style.height = `${this.#pitch}px`;
    const [x, y] = [index % this.#columns, Math.floor(index / this.#columns)];
    cell.style.transform = `translate(${x * this.#pitch}px, ${y * this.#pitch}px)`;
    this.#drawCell(cell, index);
    this.#space.append(cell);
    return cell;
  }

  #drawCell(cell, index) {
    const [low, high] = [Math.min(this.active, this.anchor), Math.max(this.active, this.anchor)];
    cell.ariaSelected = index >= low && index <= high;
    cell.classList.toggle("active", index === this.active);
    this.draw(cell, this.items[index]);
  }
}
