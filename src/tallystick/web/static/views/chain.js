// The end of the chain as linked blocks, with forks drawn as forks. It is a list for whoever hears it, and each block a link.

import { fill, h } from "../dom.js";
import { counted, number, short } from "../format.js";
import { notches } from "../notches.js";
import { timeOf } from "../parts.js";

/** How many of the last blocks are drawn, and how many branches beside them. */
export const DRAWN = 12;
const LANES = 4;

/** Owns what is drawn; told of changes, it draws them all at once before the next frame. */
export class ChainDrawing {
  #best = new Map();
  #tip = null;
  #branches = [];
  #newest = Infinity;
  #isDue = false;

  constructor() {
    this.element = h("div", { class: "chain", role: "region", "aria-label": "The end of the chain", tabindex: "0" });
  }

  /** The index of the last block, or null. */
  get tip() {
    return this.#tip;
  }

  /** A block is on the best chain: one of those at the end. */
  add(block) {
    this.cut(block.index - 1);
    this.#best.set(block.index, block);
    this.#tip = block;
    this.#best.delete(block.index - DRAWN);
    this.#draw();
  }

  /** Nothing is on the best chain behind this index. */
  cut(index) {
    for (const known of this.#best.keys()) if (known > index) this.#best.delete(known);
    this.#draw();
  }

  /** The branches beside it, as `GET /forks` has them. */
  beside(forks) {
    this.#branches = forks
      .filter(({ fork }) => fork !== null)
      .map(({ fork, blocks }) => ({ fork, blocks: [...blocks].reverse() }));
    this.#draw();
  }

  #draw() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#drawNow();
    });
  }

  #drawNow() {
    if (this.#tip === null) return;
    const { element } = this;
    const focused = element.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const isAtEnd = element.scrollWidth - element.scrollLeft - element.clientWidth < 40;
    const first = Math.max(0, this.#tip.index - DRAWN + 1);
    const blocks = [...this.#best.values()].filter(({ index }) => index >= first).sort((a, b) => a.index - b.index);
    const lanes = inLanes(this.#branches.filter((branch) => branch.blocks.some(({ index }) => index >= first)));
    fill(
      element,
      h(
        "ol",
        { class: "lane", "aria-label": "Best chain" },
        blocks.map((block) => this.#stick(block, first, false)),
      ),
      lanes.slice(0, LANES).flatMap((lane, at) => lane.map((branch) => this.#branch(branch, first, at + 1))),
      lanes.length > LANES &&
        h("p", { class: "dim" }, `More branches are not drawn: ${lanes.slice(LANES).flat().length}.`),
    );
    this.#newest = this.#tip.index;
    if (focused) element.querySelector(`[href="${focused}"]`)?.focus({ preventScroll: true });
    if (isAtEnd) element.scrollLeft = element.scrollWidth;
  }

  #branch({ fork, blocks }, first, lane) {
    const drawn = blocks.filter(({ index }) => index >= first);
    const list = h(
      "ol",
      { class: "lane branch", "aria-label": `Branch that left after block ${number(fork.index)}` },
      drawn.map((block, at) => this.#stick(block, first, true, at === 0 && fork.index >= first)),
    );
    list.style.setProperty("--lane", lane);
    return list;
  }

  #stick(block, first, isBeside, isFirst = false) {
    const isNew = !isBeside && block.index > this.#newest;
    const count = block.records?.length ?? block.records;
    const item = h(
      "li",
      { class: `stick${isBeside ? " aside" : ""}${isFirst ? " leaves" : ""}${isNew ? " new" : ""}` },
      notches(block.previous_hash, "left"),
      h(
        "a",
        { href: `#/blocks/${isBeside ? block.hash : block.index}` },
        h("strong", {}, h("span", { class: "unseen" }, isBeside ? "Left block " : "Block "), number(block.index)),
        h("code", {}, short(block.hash)),
        h("span", { class: "dim" }, typeof count === "number" ? [counted(count, "record"), ", "] : "", timeOf(block)),
      ),
      notches(block.hash, "right"),
    );
    item.style.gridColumn = String(block.index - first + 1);
    return item;
  }
}

/** Branches put into as few rows as they fit in side by side. */
function inLanes(branches) {
  const lanes = [];
  for (const branch of branches) {
    const [from, to] = [branch.fork.index, branch.blocks.at(-1)?.index ?? 0];
    const lane = lanes.find((taken) =>
      taken.every((other) => other.fork.index > to || (other.blocks.at(-1)?.index ?? 0) < from),
    );
    if (lane) lane.push(branch);
    else lanes.push([branch]);
  }
  return lanes;
}
