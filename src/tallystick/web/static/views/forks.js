// `#/forks`: what reorgs removed, and what came instead.

import { fill, h } from "../dom.js";
import { counted, number, short } from "../format.js";
import { ask, follow, inTurn, Problem } from "../node.js";
import { notches } from "../notches.js";
import { blockLink, excerpt, notice, recordLink, timeOf } from "../parts.js";

const BRANCHES = 20;
/** Blocks of the best chain that are shown beside a branch, and records of a block. */
const INSTEAD_MOST = 20;
const RECORDS_MOST = 10;

export async function show({ signal }) {
  const place = h("div", {});
  const draw = inTurn(async () => fill(place, await branches(signal)));
  await draw();
  const changed = () =>
    draw().catch((error) => error instanceof Problem || error.name === "AbortError" || Promise.reject(error));
  follow({ types: ["reorg"], signal }, changed, (isThere) => isThere && changed()).catch((error) =>
    fill(place, notice(error)),
  );
  return [
    h("h1", {}, "Forks"),
    h(
      "p",
      {},
      "Branches that are not on the best chain: blocks that a reorg removed, or that lost a race. They stay to be looked at, so a rewrite of history is seen, with what it removed and what came instead.",
    ),
    place,
  ];
}

async function branches(signal) {
  const forks = await ask(`/forks?limit=${BRANCHES}`, { signal });
  if (!forks.length) return h("p", { class: "dim" }, "There are none. All that this node ever saw is on one chain.");
  return Promise.all(forks.map((fork) => branch(fork, signal)));
}

async function branch({ fork, tip, blocks }, signal) {
  if (fork === null) {
    return h(
      "article",
      { class: "fork" },
      h("h2", {}, `A branch up to block ${number(tip.index)}`),
      h("p", {}, "Where it left the best chain is not known any more."),
    );
  }
  const depth = tip.index - fork.index;
  const instead = await ask(`/blocks?from=${fork.index + 1}&limit=${Math.min(INSTEAD_MOST, depth)}`, { signal });
  const removed = [...blocks].reverse();
  const now = new Map(instead.flatMap((block) => (block.records ?? []).map((record) => [record.commit, block])));
  return h(
    "article",
    { class: "fork" },
    h("h2", {}, `${counted(depth, "block")} after `, blockLink(fork.index, `block ${number(fork.index)}`)),
    depth > removed.length && h("p", { class: "dim" }, `The last ${removed.length} of them are shown.`),
    h(
      "div",
      { class: "columns" },
      h(
        "section",
        {},
        h("h3", {}, "Not on the best chain"),
        h(
          "ol",
          {},
          removed.map((block) => blockItem(block, true, now)),
        ),
      ),
      h(
        "section",
        {},
        h("h3", {}, "On it instead"),
        instead.length
          ? h(
              "ol",
              {},
              instead.map((block) => blockItem(block, false, now)),
            )
          : h("p", { class: "dim" }, "Nothing: the best chain ends at the fork."),
      ),
    ),
  );
}

function blockItem(block, isRemoved, now) {
  return h(
    "li",
    { class: `stick wide${isRemoved ? " aside" : ""}` },
    notches(block.previous_hash, "left"),
    h(
      "div",
      {},
      h(
        "p",
        {},
        blockLink(isRemoved ? block.hash : block.index, h("strong", {}, `Block ${number(block.index)}`)),
        " ",
        h("code", {}, short(block.hash)),
        " ",
        h("span", { class: "dim" }, timeOf(block)),
      ),
      "records" in block ? recordsOf(block, isRemoved, now) : textOf(block, isRemoved),
    ),
    notches(block.hash, "right"),
  );
}

function textOf(block, isRemoved) {
  return h(
    "p",
    {},
    excerpt(block.data),
    isRemoved &&
      block.mined_again_as && [
        h("br"),
        "Mined again as ",
        blockLink(block.mined_again_as, short(block.mined_again_as)),
      ],
  );
}

function recordsOf({ records }, isRemoved, now) {
  if (!records.length) return h("p", { class: "dim" }, "no records");
  const where = (record) => {
    if (!isRemoved) return null;
    const block = now.get(record.commit);
    return block ? [" now in ", blockLink(block.index, `block ${number(block.index)}`)] : null;
  };
  return h(
    "ul",
    {},
    records.slice(0, RECORDS_MOST).map((record) => h("li", {}, recordLink(record.id), where(record))),
    records.length > RECORDS_MOST &&
      h("li", { class: "dim" }, `and ${counted(records.length - RECORDS_MOST, "other")}`),
  );
}
