// `#/blocks`: the chain, a stretch at a time, newest first. `#/blocks/REF`: one block.

import { h } from "../dom.js";
import { number, short } from "../format.js";
import { ask } from "../node.js";
import { blockLink, excerpt, table, timeOf } from "../parts.js";
import { showBlock } from "./block.js";

const PAGE = 20;

export async function show({ rest, parameters, network, signal }) {
  if (rest.length && rest[0]) return showBlock(rest[0], network, signal);
  const tip = await ask("/blocks/latest", { signal });
  const asked = /^[0-9]{1,15}$/.test(parameters.get("to") ?? "") ? Number(parameters.get("to")) : tip.index;
  const to = Math.min(asked, tip.index);
  const from = Math.max(0, to - PAGE + 1);
  const blocks = await ask(`/blocks?from=${from}&limit=${to - from + 1}`, { signal });
  const end = blocks.length ? blocks.at(-1).index : to; // long blocks come fewer at a time
  return [
    h("h1", {}, "Blocks"),
    pages(from, to, end, tip.index),
    table(
      `Blocks ${from} to ${end}, newest first`,
      ["Index", "Hash", "When", blocks.some((block) => "records" in block) ? "Records" : "Data"],
      blocks
        .reverse()
        .map((block) => [
          blockLink(block.index, number(block.index)),
          h("code", {}, short(block.hash)),
          timeOf(block),
          "records" in block ? number(block.records.length) : excerpt(block.data),
        ]),
    ),
    end < to &&
      h(
        "p",
        { class: "dim" },
        `Blocks ${end + 1} to ${to} are long; look at them `,
        h("a", { href: `#/blocks?to=${end + PAGE}` }, "a page further"),
        ".",
      ),
    h(
      "form",
      { class: "inline", onsubmit: jump },
      h("label", { for: "jump" }, "Go to index"),
      h("input", { id: "jump", inputmode: "numeric", pattern: "[0-9]{1,15}", required: true }),
      h("button", {}, "Go"),
    ),
  ];
}

function jump(event) {
  event.preventDefault();
  location.hash = `#/blocks/${event.currentTarget.querySelector("input").value}`;
}

function pages(from, to, end, tip) {
  const link = (text, target, isThere) =>
    h("li", {}, isThere ? h("a", { href: `#/blocks?to=${target}` }, text) : h("span", { class: "dim" }, text));
  return h(
    "nav",
    { "aria-label": "Pages of blocks", class: "pages" },
    h(
      "ul",
      {},
      link("Newest", tip, to < tip),
      link("Newer", Math.min(tip, to + PAGE), to < tip),
      link("Older", from - 1, from > 0),
      link("Oldest", PAGE - 1, from > 0),
    ),
    h("p", {}, `${number(from)} to ${number(end)} of ${number(tip)}`),
  );
}
