// `#/lab?block=REF`: the tamper lab. Copies of a few blocks to be edited, with all that breaks computed anew at each stroke.

import { announce, fill, h, visible } from "../dom.js";
import { compact, counted, dated, number, short, spell } from "../format.js";
import { EMPTY } from "../ledger/frontier.js";
import { expectedHashes, sealOf } from "../ledger/sealed.js";
import { judged, rewritten, sealed } from "../ledger/tamper.js";
import { edgeOf } from "../ledger/whole.js";
import { ask, Problem } from "../node.js";
import { notches } from "../notches.js";
import { notice } from "../parts.js";

/** Blocks that can be edited, the first one being what was asked for. */
const SHOWN = 4;
/** Records of a block that can be edited; the others are hashed all the same. */
const EDITABLE = 3;
/** So long a nonce is looked for at most, for all blocks together. */
const SEARCH_MS = 60_000;

export async function show({ parameters, signal }) {
  const tip = await ask("/blocks/latest", { signal });
  const ref = parameters.get("block") ?? String(Math.max(0, tip.index - SHOWN + 1));
  const first = await ask(`/blocks/${encodeURIComponent(ref)}`, { signal });
  const blocks = first.orphaned ? [first] : await ask(`/blocks?from=${first.index}&limit=${SHOWN}`, { signal });
  const parent = first.index === 0 ? null : await ask(`/blocks/${first.previous_hash}`, { signal }).catch(orNull);
  const edge = "records" in first ? await edgeBehind(blocks, parent, signal) : null;
  const lab = new Lab({ originals: blocks, parent, edge, tip, signal });
  await lab.judge();
  return lab.content;
}

function orNull(error) {
  if (error instanceof Problem && error.status === 404) return null;
  throw error;
}

/** The log's edge before the first block: of no entries before the genesis block. Blocks without records do not change it,
 * so that of the first with some will do. No proof leads to a block beside the best chain. */
async function edgeBehind(blocks, parent, signal) {
  if (blocks[0].index === 0) return EMPTY;
  const first = blocks.find((block) => block.records.length);
  if (first === undefined || parent === null || first.orphaned) return null;
  return edgeOf(first, (path) => ask(path, { signal })).catch(orNull);
}

class Lab {
  #originals;
  #copies;
  #parent;
  #edge;
  #tip;
  #signal;
  #verdict = h("section", { class: "verdict", role: "status", "aria-label": "What it comes to" });
  #said = h("div", {});
  #list = h("ol", { class: "copies" });
  #buttons = h("p", { class: "buttons" });
  #cards = [];
  #turn = 0;
  #search = null;

  constructor({ originals, parent, edge, tip, signal }) {
    this.#originals = originals;
    this.#copies = originals.map((block) => structuredClone(block));
    this.#parent = parent;
    this.#edge = edge;
    this.#tip = tip;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#search?.abort(), { once: true });
    this.content = [
      h("h1", {}, "Tamper lab"),
      h(
        "p",
        {},
        "These are copies, in this page only. Change something, and see what gives it away. Nothing is sent anywhere.",
      ),
      this.#verdict,
      this.#buttons,
      this.#said,
      this.#list,
      h(
        "form",
        { class: "inline", onsubmit: elsewhere },
        h("label", { for: "lab-block" }, "Another block, by index or hash"),
        h("input", { id: "lab-block", required: true, maxlength: "64", autocomplete: "off" }),
        h("button", {}, "Take copies"),
      ),
    ];
    this.#layOut();
  }

  get #isWork() {
    return "seal" in this.#originals[0];
  }

  // --- what is on the page ---

  #layOut() {
    this.#cards = this.#copies.map((_, at) => this.#card(at));
    fill(
      this.#list,
      this.#cards.map(({ item }) => item),
    );
  }

  #card(at) {
    const block = this.#copies[at];
    const before = h("div", { class: "edge" });
    const after = h("div", { class: "edge" });
    const findings = h("div", { class: "findings" });
    const title = `block-${at}`;
    const item = h(
      "li",
      { class: "stick copy" },
      before,
      h(
        "div",
        { role: "group", "aria-labelledby": title },
        h("h2", { id: title }, `Copy of block ${number(block.index)}`),
        "records" in block
          ? this.#recordFields(at)
          : [this.#field(at, "data", "Data", "textarea"), this.#field(at, "timestamp", "Time, in seconds", "input")],
        findings,
        h(
          "p",
          { class: "buttons" },
          this.#button("Compute its hash anew", () => this.#rewrite(at, false), "quiet"),
        ),
      ),
      after,
    );
    return { item, before, after, findings };
  }

  #field(at, name, label, kind) {
    const id = `field-${at}-${name}`;
    const input = h(kind, {
      id,
      spellcheck: "false",
      autocomplete: "off",
      ...(kind === "textarea" ? { rows: "2" } : { inputmode: "numeric" }),
    });
    input.value = String(this.#copies[at][name]);
    input.addEventListener("input", () => {
      const value = name === "timestamp" ? Number(input.value) : input.value;
      this.#edit(at, { ...this.#copies[at], [name]: value });
    });
    return [h("label", { for: id }, label), input];
  }

  #recordFields(at) {
    const { records } = this.#copies[at];
    if (!records.length) return h("p", { class: "dim" }, "It holds no records; its header can break all the same.");
    return [
      records.slice(0, EDITABLE).map((record, place) => this.#recordField(at, place, record)),
      records.length > EDITABLE &&
        h("p", { class: "dim" }, `and ${counted(records.length - EDITABLE, "other record")}`),
    ];
  }

  #recordField(at, place, record) {
    if (!("data" in record)) return h("p", { class: "dim" }, `Record ${visible(record.id)}: its data was erased.`);
    const id = `field-${at}-record-${place}`;
    const isText = typeof record.data === "string";
    const input = h("textarea", { id, rows: "2", spellcheck: "false" });
    input.value = isText ? record.data : JSON.stringify(record.data);
    const wrong = h("p", { class: "notice bad", role: "alert", hidden: true });
    input.addEventListener("input", () => {
      let data = input.value;
      try {
        if (!isText) data = JSON.parse(data);
        wrong.hidden = true;
      } catch (error) {
        wrong.hidden = false;
        fill(wrong, `No JSON yet: ${visible(error.message)}`);
        return;
      }
      const copy = this.#copies[at];
      this.#edit(at, { ...copy, records: copy.records.with(place, { ...copy.records[place], data }) });
    });
    return [
      h("label", { for: id }, "Record ", h("bdi", {}, visible(record.id)), isText ? "" : ", as JSON"),
      input,
      wrong,
    ];
  }

  #button(text, act, kind = "") {
    const button = h("button", { type: "button", class: kind }, text);
    button.addEventListener("click", () => act().catch((error) => fill(this.#said, notice(error))));
    return button;
  }

  // --- what is done to the copies ---

  #edit(at, block) {
    this.#copies = this.#copies.with(at, block);
    this.judge();
  }

  async #rewrite(at, all) {
    const begun = performance.now();
    this.#copies = await rewritten(this.#copies, at, { edge: this.#edge, all });
    const count = all ? this.#copies.length - at : 1;
    fill(
      this.#said,
      h(
        "p",
        { class: "dim" },
        `${counted(count, "hash", "hashes")} computed anew in ${spell((performance.now() - begun) / 1000)}.`,
      ),
    );
    await this.judge();
  }

  async #startOver() {
    this.#search?.abort();
    this.#copies = this.#originals.map((block) => structuredClone(block));
    fill(this.#said);
    this.#layOut();
    await this.judge();
  }

  get #firstChanged() {
    const at = this.#copies.findIndex((copy, place) => JSON.stringify(copy) !== JSON.stringify(this.#originals[place]));
    return at < 0 ? null : at;
  }

  // --- what gives it away ---

  async judge() {
    this.#turn += 1;
    const turn = this.#turn;
    const verdicts = await judged(this.#copies, this.#parent, this.#edge);
    if (turn !== this.#turn) return; // something else was typed meanwhile
    for (const [at, card] of this.#cards.entries()) {
      const copy = this.#copies[at];
      fill(card.before, notches(copy.previous_hash, "top"), h("code", {}, short(copy.previous_hash)));
      fill(card.after, notches(copy.hash, "bottom"), h("code", {}, short(copy.hash)));
      fill(card.findings, findings(verdicts[at]));
      card.item.classList.toggle(
        "bad",
        verdicts[at].some((check) => check.holds === false),
      );
      card.item.classList.toggle("changed", JSON.stringify(copy) !== JSON.stringify(this.#originals[at]));
    }
    this.#conclude(verdicts);
  }

  #conclude(verdicts) {
    const at = this.#firstChanged;
    const kinds = new Set(
      verdicts.flatMap((checks, place) =>
        checks.filter(({ holds }) => holds === false).map(({ rule }) => kindOf(rule, place === at)),
      ),
    );
    const buttons = [];
    let words;
    if (at === null) {
      words = [
        "untouched",
        "Everything holds.",
        "Each block's content makes its hash, and each names the hash of the one before: the notches of two neighbours match. Change a letter.",
      ];
    } else if (kinds.has("content")) {
      words = [
        "content",
        "The content no longer makes the hash.",
        "Whoever holds this block sees that at once, and needs nobody for it. So whoever changes a block has to compute its hash anew.",
      ];
      buttons.push(this.#button("Compute it anew, as a forger would", () => this.#rewrite(at, false)));
    } else if (kinds.has("link")) {
      words = [
        "link",
        "The next block still names the old hash.",
        "The notches no longer match. So the next block has to be changed too, which changes its hash as well, and so on to the end of the chain.",
      ];
      buttons.push(this.#button("Rewrite everything after it", () => this.#rewrite(at, true)));
    } else if (kinds.has("seal")) {
      words = ["seal", "Hashes and links fit again, but the seals do not hold.", this.#priceOfSeals(at)];
      buttons.push(this.#button(this.#search ? "Stop looking" : "Look for nonces here", () => this.#lookForNonces(at)));
    } else {
      words = this.#isWork
        ? [
            "rewritten",
            "A forged branch, sealed and valid by itself.",
            `It took the work that seals stand for, and it is one of ${counted(this.#copies.length, "block")}. Nodes follow the branch with the most work: it would have to be redone up to block ${number(this.#tip.index)} and then overtake everybody who goes on with the true one. These seals are cheap enough for a browser only because this network asks so little of them.`,
          ]
        : [
            "rewritten",
            "A forged chain, and every check holds.",
            `It cost nothing. In a classic network nothing but length decides, so whoever rewrites the blocks up to ${number(this.#tip.index)} and adds one more is followed by all. What gives it away is that the others have another hash: compare the last one with somebody else's, and look at the forks, where nodes keep what was removed. A work network puts a price on each block.`,
          ];
    }
    if (at !== null) buttons.push(this.#button("Start over", () => this.#startOver(), "quiet"));
    const [stage, title, ...text] = words;
    this.#verdict.dataset.stage = stage;
    fill(
      this.#verdict,
      h("h2", {}, title),
      text.map((part) => h("p", {}, part)),
    );
    fill(this.#buttons, buttons);
  }

  /** What it takes to seal the rest of the chain, beside what the network does meanwhile. */
  #priceOfSeals(at) {
    const first = this.#originals[at];
    const hashes = Number(expectedHashes(sealOf(first).bits));
    const blocks = this.#tip.index - first.index + 1;
    const pace = secondsABlock(this.#originals);
    const network =
      pace === null
        ? ""
        : ` The network finds a block every ${spell(pace)}, which is about ${compact(hashes / pace)} hashes a second, and it does not wait.`;
    return `A changed block is another block, so its nonce has to be found anew: about ${compact(hashes)} hashes, for each of the ${counted(blocks, "block")} from here to the tip.${network}`;
  }

  async #lookForNonces(at) {
    if (this.#search) return this.#search.abort();
    this.#search = new AbortController();
    const begun = performance.now();
    let total = 0;
    try {
      for (let place = at; place < this.#copies.length; place += 1) {
        const found = await sealed(this.#copies[place], (tried) => this.#reportSearch(place, total + tried, begun));
        if (found === null) break;
        total += found.tried;
        this.#copies = this.#copies.with(place, found.block);
        if (place + 1 < this.#copies.length)
          this.#copies = await rewritten(this.#linked(place + 1), place + 1, { edge: this.#edge, all: true });
        await this.judge();
      }
    } finally {
      this.#search = null;
    }
    if (!this.#signal.aborted) await this.judge();
  }

  /** The copies, of which the one at `place` names the hash of the one before. */
  #linked(place) {
    return this.#copies.with(place, { ...this.#copies[place], previous_hash: this.#copies[place - 1].hash });
  }

  async #reportSearch(place, tried, begun) {
    const seconds = (performance.now() - begun) / 1000;
    const rate = tried / Math.max(seconds, 0.001);
    const expected = Number(expectedHashes(sealOf(this.#copies[place]).bits));
    const left = (this.#tip.index - this.#copies[place].index + 1) * (expected / Math.max(rate, 1));
    fill(
      this.#said,
      h(
        "p",
        {},
        `Block ${number(this.#copies[place].index)}: ${compact(tried)} nonces tried, ${compact(rate)} a second in this page. To the tip it takes about ${spell(left)}.`,
      ),
      h("progress", {
        max: SEARCH_MS,
        value: Math.min(SEARCH_MS, seconds * 1000),
        "aria-label": "Time that is spent on it",
      }),
    );
    if (tried === 0) this.judge();
    await new Promise((resolve) => setTimeout(resolve));
    const isOver = seconds * 1000 > SEARCH_MS;
    if (isOver) announce("No nonce was found in a minute.");
    return !isOver && !this.#search.signal.aborted;
  }
}

/** What a broken rule is a matter of. A log goes on from block to block, so it links them too. */
function kindOf(rule, isFirstChanged) {
  if (rule === "seal-holds") return "seal";
  if (rule === "names-its-parent" || rule === "index-follows-parent") return "link";
  return rule === "log-matches-records" && !isFirstChanged ? "link" : "content";
}

/** Mean time between these blocks, in seconds; null when there is no telling. */
function secondsABlock(blocks) {
  const [first, last] = [dated(blocks[0]), dated(blocks.at(-1))];
  const seconds = first && last && blocks.length > 1 ? (last - first) / 1000 / (blocks.length - 1) : 0;
  return seconds > 0 ? seconds : null;
}

function findings(checks) {
  const broken = checks.filter((check) => check.holds === false);
  return [
    broken.length
      ? h(
          "ul",
          {},
          broken.map(({ rule, what, expected, found }) =>
            h(
              "li",
              { "data-rule": rule },
              h("span", { class: "sign bad", "aria-hidden": "true" }, "✗"),
              " ",
              visible(what),
              expected === null
                ? ""
                : h(
                    "span",
                    { class: "dim" },
                    ` Expected ${expected.length > 70 ? expected : short(expected)}, found ${short(found)}.`,
                  ),
            ),
          ),
        )
      : h(
          "p",
          { class: "dim" },
          h("span", { class: "sign good", "aria-hidden": "true" }, "✓"),
          " Nothing is wrong with it.",
        ),
  ];
}

function elsewhere(event) {
  event.preventDefault();
  location.hash = `#/lab?block=${encodeURIComponent(event.currentTarget.querySelector("input").value.trim())}`;
}
