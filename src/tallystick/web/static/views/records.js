// `#/records`: the log, a stretch at a time, newest first. `#/records/ID`: what is recorded under an id, and its proof.

import { fill, h, visible } from "../dom.js";
import { number, short, when } from "../format.js";
import { checkRecordProof } from "../ledger/proofs.js";
import { ask, follow, inTurn, Problem } from "../node.js";
import { blockLink, checkList, excerpt, facts, hashText, notice, recordData, recordLink, table } from "../parts.js";

const PAGE = 50;

export async function show({ rest, parameters, network, signal }) {
  if (network.kind === "classic") {
    return [
      h("h1", {}, "Records"),
      h(
        "p",
        {},
        "Each block of a classic network holds one text, and no records. ",
        h("a", { href: "#/blocks" }, "Look at the blocks"),
        ".",
      ),
    ];
  }
  return rest.length && rest[0] ? showRecord(rest[0], network, signal) : showLog(parameters, signal);
}

// --- the log --------------------------------------------------------------------------------------

async function showLog(parameters, signal) {
  const { log_size: size } = await ask("/blocks/latest", { signal });
  const asked = /^[0-9]{1,15}$/.test(parameters.get("before") ?? "") ? Number(parameters.get("before")) : size;
  const before = Math.min(asked, size);
  const after = Math.max(0, before - PAGE);
  const records = before > after ? await ask(`/records?after=${after}&limit=${before - after}`, { signal }) : [];
  const link = (text, target, isThere) =>
    h("li", {}, isThere ? h("a", { href: `#/records?before=${target}` }, text) : h("span", { class: "dim" }, text));
  return [
    h("h1", {}, "Records"),
    h("p", {}, "All records in blocks, in the order of the log. Those that wait for a block are not among them."),
    h(
      "nav",
      { "aria-label": "Pages of records", class: "pages" },
      h(
        "ul",
        {},
        link("Newest", size, before < size),
        link("Newer", Math.min(size, before + PAGE), before < size),
        link("Older", after, after > 0),
        link("Oldest", Math.min(PAGE, size), after > 0),
      ),
      size > 0 && h("p", {}, `${number(after)} to ${number(Math.max(after, before - 1))} of ${number(size)}`),
    ),
    records.length
      ? table(
          "Records, newest first",
          ["Position", "Id", "Block", "Data"],
          records
            .reverse()
            .map((record) => [
              number(record.position),
              recordLink(record.id),
              blockLink(record.block.index, number(record.block.index)),
              dataOf(record),
            ]),
        )
      : h("p", { class: "dim" }, "There are none yet. ", h("a", { href: "#/post" }, "Post the first one"), "."),
  ];
}

function dataOf(record) {
  if (!("data" in record)) return h("span", { class: "dim" }, "erased");
  return excerpt(typeof record.data === "string" ? record.data : JSON.stringify(record.data));
}

// --- one record -----------------------------------------------------------------------------------

async function showRecord(id, network, signal) {
  const path = `/records/${encodeURIComponent(id)}`;
  const place = h("div", {});
  let drawn = "";
  const draw = async () => {
    const { records } = await ask(path, { signal });
    const wanted = JSON.stringify(records, withoutDepth);
    if (wanted === drawn) updateDepth(place, records);
    else if (!place.contains(document.activeElement)) {
      drawn = wanted; // unless somebody is about to use what is there
      fill(
        place,
        records.map((record) => recordPart(record, { id, network, path, signal })),
      );
    }
  };
  await draw();
  keepCurrent(draw, place, signal);
  return [h("h1", {}, "Record ", h("bdi", {}, visible(id))), place];
}

/** What every block changes is left out: whatever was typed and checked on the page stays. */
function withoutDepth(name, value) {
  return name === "confirmations" || name === "proof" ? undefined : value;
}

function updateDepth(place, records) {
  const depths = records.map(({ confirmations }) => confirmations).filter((depth) => depth !== null);
  place.querySelectorAll(".depth").forEach((part, at) => fill(part, number(depths[at])));
}

/** Draw it anew when blocks come or go, and when the node is there again. */
function keepCurrent(draw, place, signal) {
  const changed = inTurn(async () => {
    try {
      await draw();
    } catch (error) {
      if (!(error instanceof Problem) && error.name !== "AbortError") throw error;
    }
  });
  follow({ types: ["block", "reorg"], signal }, changed, (isThere) => isThere && changed()).catch((error) =>
    fill(place, notice(error)),
  );
}

const STATES = {
  pending: "Pending: it is safe on this node's disk, and waits for a block.",
  included: "Included: it is in a block of the best chain.",
  aside: "Aside: only blocks that are not on the best chain hold it.",
};

function recordPart(record, asked) {
  const { block } = record;
  return h(
    "article",
    { class: "record" },
    h("p", { class: `state ${record.status}` }, h("strong", {}, STATES[record.status])),
    facts([
      [
        "Block",
        block && [blockLink(block.index, `Block ${number(block.index)}`), " ", h("code", {}, short(block.hash))],
      ],
      ["Time", block && when(new Date(block.timestamp))],
      ["Position in the log", record.position === null ? null : number(record.position)],
      [
        "Confirmations",
        record.confirmations === null ? null : h("span", { class: "depth" }, number(record.confirmations)),
      ],
      ["Commitment", h("code", {}, record.commit)],
    ]),
    h("h2", {}, "Data"),
    recordData(record),
    h("h2", {}, "Proof"),
    record.proof
      ? proofPart(record, asked)
      : h("p", { class: "dim" }, "There is one as soon as the record is in a block."),
  );
}

function proofPart(record, { id, network, path, signal }) {
  const { proof } = record;
  const place = h("div", { "aria-live": "polite" });
  const input = h("input", {
    id: `trusted-${record.position}`,
    spellcheck: "false",
    autocomplete: "off",
    pattern: "[0-9a-f]{64}",
    required: true,
    placeholder: "64 hex digits",
  });
  const check = async (checked, trusted) => {
    const begun = performance.now();
    const checks = await checkRecordProof(record, checked, { id, network: network.id, trusted });
    fill(place, checkList(checks, performance.now() - begun));
  };
  const recheck = async (event) => {
    event.preventDefault();
    const trusted = input.value.trim();
    try {
      const { records } = await ask(`${path}?block=${encodeURIComponent(trusted)}`, { signal });
      const found = records.find((each) => each.commit === record.commit);
      if (!found?.proof) throw new Problem("As of that block the record is not in the log.", 0);
      await check(found.proof, trusted);
    } catch (error) {
      fill(place, notice(error));
    }
  };
  check(proof, null);
  return [
    h(
      "p",
      {},
      "It shows that the record stands in the log as of block ",
      hashText(proof.block),
      ". Whoever trusts that hash, from whomever they have it, needs nothing else.",
    ),
    place,
    h(
      "form",
      { class: "inline", onsubmit: recheck },
      h("label", { for: input.id }, "Check against a block's hash that you trust, of another party's node or a paper"),
      input,
      h("button", {}, "Check"),
    ),
    h(
      "p",
      { class: "buttons" },
      download(`${record.id.replace(/[^A-Za-z0-9._-]/g, "_")}.proof.json`, proof),
      h("a", { href: path }, "As JSON"),
    ),
    h("p", { class: "dim" }, "Without this page, and without any node: ", h("code", {}, "tallystick check FILE")),
  ];
}

/** The document as a file. It is made when it is asked for, and nothing of it is kept. */
function download(name, document_) {
  const button = h("button", { type: "button" }, "Download the proof");
  button.addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob([JSON.stringify(document_, null, 1)], { type: "application/json" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    URL.revokeObjectURL(url);
  });
  return button;
}
