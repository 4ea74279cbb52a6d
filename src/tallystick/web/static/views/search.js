// `#/search?q=`: by index, hash or id at once, and by text through all of the ledger, newest first, for as long as one likes.

import { fill, h, visible } from "../dom.js";
import { counted, number, short } from "../format.js";
import { ask, Problem } from "../node.js";
import { blockLink, notice, recordLink } from "../parts.js";

const FOUND_MOST = 100;
const TEXT_MOST = 100;

export async function show({ parameters, network, signal }) {
  const query = (parameters.get("q") ?? "").trim();
  const input = document.getElementById("query");
  if (input.value.trim() !== query) input.value = query;
  signal.addEventListener("abort", () => (input.value = ""), { once: true });
  if (!query) return [h("h1", {}, "Search"), h("p", {}, "Type an index, a hash, an id or a text above.")];
  const named = await byName(query, network, signal);
  return [
    h("h1", {}, "Search: ", h("bdi", {}, visible(query))),
    named.length > 0 && h("section", {}, h("h2", {}, "Of this name"), h("ul", { class: "found" }, named)),
    textPart(query, network, signal),
  ];
}

/** What has just this index, hash or id. */
async function byName(query, network, signal) {
  const found = [];
  if (/^(0|[1-9][0-9]{0,15}|[0-9a-f]{64})$/.test(query)) {
    const block = await orNull(ask(`/blocks/${query}`, { signal }));
    if (block)
      found.push(
        h(
          "li",
          {},
          blockLink(block.hash, `Block ${number(block.index)}`),
          " ",
          h("code", {}, short(block.hash)),
          block.orphaned ? " (not on the best chain)" : "",
        ),
      );
  }
  if (network.kind !== "classic" && /^[A-Za-z0-9._:-]{1,128}$/.test(query)) {
    const answer = await orNull(ask(`/records/${encodeURIComponent(query)}`, { signal }));
    if (answer) found.push(h("li", {}, "Record ", recordLink(query), ` (${answer.records[0].status})`));
  }
  return found;
}

async function orNull(asked) {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Problem && error.status >= 400 && error.status < 500) return null;
    throw error;
  }
}

function textPart(query, network, signal) {
  if ([...query].length > TEXT_MOST)
    return h("p", { class: "dim" }, `For a search in the text, ${TEXT_MOST} characters are the most.`);
  const list = h("ol", { class: "found" });
  const progress = h("p", { role: "status" });
  const stop = h("button", { type: "button" }, "Stop");
  const ended = new AbortController();
  signal.addEventListener("abort", () => ended.abort(), { once: true });
  stop.addEventListener("click", () => ended.abort());
  const unit = network.kind === "classic" ? "block" : "record";
  searchAll(query, ended.signal, (matches, searched) => {
    list.append(...matches.map((match) => matchItem(match, query)));
    const count = list.children.length;
    fill(progress, `Found ${number(count)} in ${counted(searched, unit)} so far, newest first…`);
    return count < FOUND_MOST;
  })
    .then((searched) =>
      fill(
        progress,
        `Found ${number(list.children.length)} in ${counted(searched.count, unit)}${searched.isAll ? ", which is all there is." : ", and stopped."}`,
      ),
    )
    .catch((error) => error.name !== "AbortError" && fill(progress, notice(error)))
    .finally(() => stop.remove());
  return h(
    "section",
    {},
    h("h2", {}, network.kind === "classic" ? "In the data of blocks" : "In ids and data of records"),
    h("div", { class: "row" }, progress, stop),
    list,
  );
}

/** Go through everything, a stretch a request. `tell` gets what was found and says whether to go on. */
async function searchAll(query, signal, tell) {
  let before = null;
  let count = 0;
  for (;;) {
    if (signal.aborted) return { count, isAll: false };
    const place = before === null ? "" : `&before=${before}`;
    let answer;
    try {
      answer = await ask(`/search?text=${encodeURIComponent(query)}${place}`, { signal });
    } catch (error) {
      if (error.name === "AbortError") return { count, isAll: false };
      throw error;
    }
    count += answer.searched;
    before = answer.before;
    const goOn = tell(answer.matches, count);
    if (before === null) return { count, isAll: true };
    if (!goOn) return { count, isAll: false };
  }
}

function matchItem({ block, id, excerpt }, query) {
  return h(
    "li",
    {},
    id === null
      ? blockLink(block.index, `Block ${number(block.index)}`)
      : [recordLink(id), " in ", blockLink(block.index, `block ${number(block.index)}`)],
    h("p", { class: "excerpt" }, h("bdi", {}, marked(visible(excerpt), query))),
  );
}

/** The text with what was looked for marked, wherever it occurs as it was typed or in another case. */
function marked(text, query) {
  const [low, needle] = [text.toLowerCase(), query.toLowerCase()];
  if (low.length !== text.length) return text; // a letter whose other case is longer: places would be off
  const parts = [];
  let from = 0;
  for (let at = low.indexOf(needle); at >= 0; at = low.indexOf(needle, from)) {
    parts.push(text.slice(from, at), h("mark", {}, text.slice(at, at + needle.length)));
    from = at + needle.length;
  }
  return [...parts, text.slice(from)];
}
