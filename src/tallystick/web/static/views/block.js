// One block: what it says, what holds of it, and what it holds.

import { fill, h, visible } from "../dom.js";
import { counted, dated, number, short, when } from "../format.js";
import { NOT_JUDGED } from "../ledger/checks.js";
import { blockChecks } from "../ledger/whole.js";
import { ask, Problem } from "../node.js";
import { notches } from "../notches.js";
import { blockLink, checksOf, dataText, excerpt, facts, hashText, recordLink, table } from "../parts.js";
import { sealFacts } from "./seal.js";

const RECORDS_AT_ONCE = 100;

export async function showBlock(ref, network, signal) {
  const [block, tip] = await Promise.all([
    ask(`/blocks/${encodeURIComponent(ref)}`, { signal }),
    ask("/blocks/latest", { signal }),
  ]);
  const isOrphaned = block.orphaned === true;
  const parent = await parentOf(block, signal);
  return [
    h("h1", {}, `Block ${number(block.index)}`),
    isOrphaned && orphanNotice(block),
    neighbours(block, tip, isOrphaned),
    h(
      "div",
      { class: "stick wide" },
      notches(block.previous_hash, "left"),
      facts([
        ["Hash", hashText(block.hash)],
        [
          "Predecessor",
          block.index ? [blockLink(block.previous_hash, short(block.previous_hash))] : "none: the network begins here",
        ],
        ["Time", when(dated(block))],
        ["Confirmations", isOrphaned ? null : number(tip.index - block.index + 1)],
        ...sealFacts(block),
      ]),
      notches(block.hash, "right"),
    ),
    h("h2", {}, "Checked here"),
    checksOf(blockChecks(block, parent, { network, ref, ask: (path) => ask(path, { signal }) })),
    "records" in block && notJudged(),
    "records" in block ? recordsOf(block) : [h("h2", {}, "Data"), dataText(block.data)],
    h(
      "p",
      { class: "buttons" },
      h("a", { class: "button", href: `#/lab?block=${block.hash}` }, "Tamper with a copy"),
      h("a", { href: `/blocks/${block.hash}` }, "As JSON"),
    ),
  ];
}

/** What a page that has a block and its parent does not claim to know. */
function notJudged() {
  const rules = Object.entries(NOT_JUDGED).map(([rule, why]) => [h("code", {}, rule), why]);
  return h(
    "details",
    { class: "dim" },
    h("summary", {}, "Rules that a block and its parent do not show"),
    facts(rules),
  );
}

/** The block before, whichever branch this one is of; null when it is the first, or its predecessor is not kept. */
async function parentOf(block, signal) {
  if (block.index === 0) return null;
  try {
    return await ask(`/blocks/${block.previous_hash}`, { signal });
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return null;
    throw error;
  }
}

function orphanNotice(block) {
  return h(
    "p",
    { class: "notice" },
    "This block is not on the best chain. A better branch took its place, or it never was there. ",
    block.mined_again_as
      ? ["Its data was mined again: ", blockLink(block.mined_again_as, short(block.mined_again_as)), ". "]
      : "",
    h("a", { href: "#/forks" }, "Look at the forks"),
    ".",
  );
}

function neighbours(block, tip, isOrphaned) {
  const link = (text, index, isThere, rel) =>
    h("li", {}, isThere ? h("a", { href: `#/blocks/${index}`, rel }, text) : h("span", { class: "dim" }, text));
  return h(
    "nav",
    { "aria-label": "Neighbouring blocks", class: "pages" },
    h(
      "ul",
      {},
      link(`← Block ${number(Math.max(0, block.index - 1))}`, block.index - 1, block.index > 0, "prev"),
      link(`Block ${number(block.index + 1)} →`, block.index + 1, !isOrphaned && block.index < tip.index, "next"),
    ),
  );
}

function recordsOf(block) {
  const records = Array.isArray(block.records) ? block.records.filter(Boolean) : []; // what else there is, checks tell
  const place = h("div", {});
  let count = 0;
  const more = h("button", { type: "button" }, "Show more");
  const grow = () => {
    count = Math.min(records.length, count + RECORDS_AT_ONCE);
    const rows = records.slice(0, count).map((record, at) => [number(at), recordLink(record.id), summary(record)]);
    fill(place, table(`Records of block ${block.index}`, ["", "Id", "Data"], rows));
    more.hidden = count === records.length;
  };
  more.addEventListener("click", grow);
  grow();
  return [
    h("h2", {}, counted(records.length, "record")),
    records.length
      ? [place, more]
      : h("p", { class: "dim" }, "None. A block without records still makes those before it harder to change."),
  ];
}

function summary(record) {
  if (!("data" in record)) return h("span", { class: "dim" }, "erased");
  return excerpt(typeof record.data === "string" ? record.data : visible(JSON.stringify(record.data)));
}
