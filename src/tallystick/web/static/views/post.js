// `#/post`: put something on the record, and watch what becomes of it: pending, included, confirmed.

import { announce, fill, h, visible } from "../dom.js";
import { counted, number, short } from "../format.js";
import { ask, follow, inTurn, Problem } from "../node.js";
import { blockLink, notice, recordLink } from "../parts.js";

/** How many confirmations are drawn; it goes on after them. */
const CONFIRMED = 6;
/** So often a block that was removed is looked for where it was mined again, before the next event. */
const AGAIN_MOST = 8;

export async function show({ network, signal }) {
  const isClassic = network.kind === "classic";
  const journeys = h("div", { class: "journeys" });
  const said = h("div", {});
  const text = h("textarea", { id: "data", rows: "5", required: true, spellcheck: "true" });
  const asJson = h("input", { id: "as-json", type: "checkbox" });
  const id = h("input", {
    id: "id",
    maxlength: "128",
    pattern: "[A-Za-z0-9._:\\-]{1,128}",
    autocomplete: "off",
    spellcheck: "false",
  });
  const button = h("button", {}, isClassic ? "Post" : "Record it");
  const send = async (event) => {
    event.preventDefault();
    button.disabled = true;
    fill(said);
    try {
      const journey = isClassic
        ? await postBlock(text.value, signal)
        : await postRecord(text.value, asJson.checked, id.value.trim(), signal);
      journeys.prepend(journey);
      text.value = "";
      id.value = "";
      announce("It is safe on this node's disk.");
    } catch (error) {
      if (error.name !== "AbortError") fill(said, notice(error));
    } finally {
      button.disabled = false;
    }
  };
  return [
    h("h1", {}, isClassic ? "Post a block" : "Post a record"),
    h(
      "p",
      {},
      isClassic
        ? "It becomes a block at once, and every node that is connected gets it."
        : "It waits in the pool, durable, until a block holds it. Every node of the network gets it, and nobody can take it out again.",
    ),
    h(
      "form",
      { class: "post", onsubmit: send },
      h("label", { for: "data" }, isClassic ? "Text" : "Data"),
      text,
      !isClassic && h("p", { class: "check" }, asJson, " ", h("label", { for: "as-json" }, "This is JSON, not a text")),
      !isClassic && [
        h(
          "label",
          { for: "id" },
          "Id (one is made if you leave it out; posting again under the same id records nothing twice)",
        ),
        id,
      ],
      said,
      h("p", { class: "buttons" }, button),
    ),
    journeys,
  ];
}

async function postRecord(text, isJson, id, signal) {
  let data = text;
  if (isJson) {
    try {
      data = JSON.parse(text);
    } catch (error) {
      throw new Problem(`This is no JSON: ${error.message}`, 0);
    }
  }
  const answer = await ask("/records", { method: "POST", body: id ? { data, id } : { data }, signal });
  const [record] = answer.records;
  return journeyOf(["Record ", recordLink(record.id)], signal, async () => {
    const { records } = await ask(record.href, { signal });
    const found = records.find((each) => each.commit === record.commit) ?? records[0];
    return {
      block: found.block,
      confirmations: found.confirmations ?? 0,
      note: found.status === "aside" ? "Its block has left the best chain." : null,
    };
  });
}

async function postBlock(text, signal) {
  const block = await ask("/mineBlock", { method: "POST", body: { data: text }, signal });
  let { hash } = block;
  return journeyOf(["Block ", blockLink(hash, short(hash))], signal, async () => {
    for (let times = 0; times < AGAIN_MOST; times += 1) {
      const [found, tip] = await Promise.all([ask(`/blocks/${hash}`, { signal }), ask("/blocks/latest", { signal })]);
      if (!found.orphaned) return { block: found, confirmations: tip.index - found.index + 1, note: null };
      if (!found.mined_again_as) break;
      hash = found.mined_again_as;
    }
    return {
      block: null,
      confirmations: 0,
      note: "A longer chain removed the block. Its data is mined again on top of it.",
    };
  });
}

/** The stations of one post. `look` tells where it stands; it is asked again when blocks come or go. */
function journeyOf(title, signal, look) {
  const stations = h("ol", { class: "stations" });
  const said = h("p", { class: "dim", role: "status" });
  const ended = new AbortController();
  signal.addEventListener("abort", () => ended.abort(), { once: true });
  const update = inTurn(async () => {
    try {
      const { block, confirmations, note } = await look();
      draw(stations, block, confirmations);
      fill(said, note ? visible(note) : "");
      if (confirmations >= CONFIRMED) ended.abort();
    } catch (error) {
      if (error instanceof Problem) fill(said, visible(error.message));
      else if (error.name !== "AbortError") throw error;
    }
  });
  draw(stations, null, 0);
  follow({ types: ["block", "reorg"], signal: ended.signal }, update, (isThere) => isThere && update());
  return h("article", { class: "journey" }, h("h2", {}, title), stations, said);
}

function draw(stations, block, confirmations) {
  const station = (text, isReached) =>
    h(
      "li",
      { class: isReached ? "reached" : "", "aria-current": isReached ? null : "step" },
      h("span", { class: "unseen" }, isReached ? "Done: " : "Not yet: "),
      text,
    );
  fill(
    stations,
    station("Pending: on this node's disk", true),
    station(
      block ? ["Included in ", blockLink(block.hash, `block ${number(block.index)}`)] : "Included in a block",
      block !== null,
    ),
    station(
      confirmations > 1 ? `Confirmed: ${counted(confirmations, "block")} deep` : "Confirmed by blocks on top",
      confirmations > 1,
    ),
    h(
      "li",
      { class: "depth" },
      h("meter", { min: 0, max: CONFIRMED, value: Math.min(CONFIRMED, confirmations), "aria-label": "Confirmations" }),
      ` ${Math.min(confirmations, CONFIRMED)} of ${CONFIRMED}`,
    ),
  );
}
