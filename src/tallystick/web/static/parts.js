// Parts that several pages share.

import { announce, fill, h, visible } from "./dom.js";
import { ago, dated, short, when } from "./format.js";
import { hashedBy } from "./ledger/hash.js";

/** What went wrong, for people. */
export function notice(error) {
  return h("p", { class: "notice bad", role: "alert" }, visible(error.message));
}

/** A hash in full, and a button that copies it. */
export function hashText(hash) {
  const button = h(
    "button",
    { type: "button", class: "copy", title: "Copy", "aria-label": `Copy ${short(hash)}` },
    "copy",
  );
  button.addEventListener("click", () => copy(hash));
  return h("span", { class: "hash" }, h("code", {}, visible(String(hash))), " ", button);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    announce("Copied.");
  } catch {
    announce("Your browser does not let this page copy; mark the text instead.");
  }
}

/** A link to a block by its index or hash. */
export function blockLink(ref, text = `Block ${ref}`) {
  return h("a", { href: `#/blocks/${encodeURIComponent(String(ref).toWellFormed())}` }, text);
}

/** A link to the records of an id. */
export function recordLink(id) {
  return h("a", { href: `#/records/${encodeURIComponent(String(id).toWellFormed())}` }, h("bdi", {}, visible(id)));
}

/** A block's time, with how long ago that was. */
export function timeOf(block) {
  const date = dated(block);
  if (date === null) return "at no known time";
  return h("time", { datetime: date.toISOString(), title: when(date) }, ago(date));
}

/** Names and what they are, as a description list. Pairs whose value is null are left out. */
export function facts(pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );
}

/** A table. Columns are heads; rows are arrays of cells, of which the first is the head of its row. */
export function table(caption, columns, rows) {
  return h(
    "div",
    { class: "scrolls", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "unseen" }, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map(([head, ...cells]) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, head),
            cells.map((cell) => h("td", {}, cell)),
          ),
        ),
      ),
    ),
  );
}

/** The longest text that is put on a page at once. */
const TEXT_MOST = 20_000;

/** Foreign text as it stands, its beginning if it is very long. */
export function dataText(given) {
  const text = String(given);
  const block = h("pre", { class: "data", tabindex: "0", dir: "auto" });
  if (text.length <= TEXT_MOST) {
    fill(block, visible(text));
    return block;
  }
  fill(block, visible(text.slice(0, TEXT_MOST)), "…");
  const more = h("button", { type: "button" }, `Show all ${text.length.toLocaleString("en")} characters`);
  more.addEventListener("click", () => {
    fill(block, visible(text));
    more.remove();
  });
  return h("div", {}, block, more);
}

/** Data of a record as people read it: a text as it is, anything else as JSON. */
export function recordData(record) {
  if (!("data" in record))
    return h("p", { class: "dim" }, "The data was erased or withheld. The entry stands, and every proof still holds.");
  return dataText(typeof record.data === "string" ? record.data : JSON.stringify(record.data, null, 2));
}

/** One line of it. */
export function excerpt(text, most = 80) {
  const line = text
    .slice(0, 4 * most)
    .replace(/\s+/g, " ")
    .trim();
  return h("bdi", { class: "excerpt" }, visible(line.length > most ? `${line.slice(0, most - 1)}…` : line));
}

// --- checks ---------------------------------------------------------------------------------------

const VERDICTS = new Map([
  [true, ["✓", "holds", "good"]],
  [false, ["✗", "does not hold", "bad"]],
  [null, ["–", "cannot be told here", "dim"]],
]);

/**
 * What was checked here, and what came of it.
 * @param {Array<{rule: string, holds: boolean | null, what: string, expected: string | null, found: string | null}>} checks
 * @param {number} [milliseconds] how long it took
 */
export function checkList(checks, milliseconds) {
  const broken = checks.filter((check) => check.holds === false).length;
  const time = milliseconds === undefined ? "" : `, in ${Math.max(1, Math.round(milliseconds))} ms`;
  const summary = broken
    ? `${broken} of ${checks.length} checks do not hold.`
    : checks.some((check) => check.holds === null)
      ? "All that can be checked here holds."
      : `All ${checks.length} checks hold.`;
  return h(
    "section",
    { class: `checks ${broken ? "bad" : "good"}`, "aria-label": "Checks" },
    h("p", { class: "summary" }, h("strong", {}, summary), ` Computed in this browser (${hashedBy}${time}).`),
    h("ul", {}, checks.map(checkItem)),
  );
}

function checkItem({ rule, holds, what, expected, found }) {
  const [sign, word, kind] = VERDICTS.get(holds);
  const values = [
    ["expected", expected],
    ["found", found],
  ].filter(([, value]) => value !== null);
  const line = [
    h("span", { class: `sign ${kind}`, "aria-hidden": "true" }, sign),
    h("span", { class: "unseen" }, `${word}: `),
    visible(what),
  ];
  if (!values.length) return h("li", { "data-rule": rule, "data-holds": String(holds) }, h("p", {}, line));
  return h(
    "li",
    { "data-rule": rule, "data-holds": String(holds) },
    h(
      "details",
      { open: holds === false },
      h("summary", {}, line),
      h(
        "dl",
        { class: "values" },
        values.map(([name, value]) => [h("dt", {}, name), h("dd", {}, h("code", {}, visible(value)))]),
      ),
    ),
  );
}

/** Checks that arrive a moment later, so that the page need not wait for them. */
export function checksOf(promise) {
  const place = h("div", { class: "checks-place", "aria-live": "polite" }, h("p", { class: "dim" }, "Checking…"));
  const begun = performance.now();
  promise.then(
    (checks) => fill(place, checkList(checks, performance.now() - begun)),
    (error) => error.name !== "AbortError" && fill(place, notice(error)),
  );
  return place;
}
