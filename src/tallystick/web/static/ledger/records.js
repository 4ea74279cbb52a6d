/*
 * What can be said of the records of a sealed block: of each by itself, and of all of them against the header.
 *
 * There may be thousands, so each is looked at once, and each check tells the sum of what was found.
 */

import { hex } from "./bytes.js";
import { canonical } from "./canonical.js";
import { ofEach } from "./hash.js";
import { commitment, leafOf } from "./record.js";
import { bodyHash } from "./sealed.js";
import { member, shown } from "./shown.js";
import { compares, counted, fails, holds, judge, sentence, unknown } from "./verdict.js";

/** No network allows more records in a block (docs/configuration.md, "Networks"). */
export const RECORDS_MAX = 40_000;

/**
 * Everything that the records of a block show.
 * @param {object} block as the API shows it
 * @returns {Promise<{checks: import("./verdict.js").Check[], leaves: Uint8Array[] | null}>} no leaves when some record
 *   has none
 */
export async function checkRecords(block) {
  const records = member(block, "records");
  if (!Array.isArray(records)) {
    const what = `The records are ${shown(records)}, not a list.`;
    return { checks: [await judge("entry-is-well-formed", () => fails(what))], leaves: null };
  }
  if (records.length > RECORDS_MAX) {
    const what = `There are ${counted(records.length, "record")}; no network has blocks of more than ${RECORDS_MAX}.`;
    return { checks: [await judge("block-within-size", () => fails(what))], leaves: null };
  }
  const found = await ofEach(records, lookAt);
  const leaves = found.every(({ leaf }) => leaf) ? found.map(({ leaf }) => leaf) : null;
  const body = judge("body-matches-header", () => checkBody(block, leaves));
  if (!records.length) return { checks: [await body], leaves };
  const checks = await Promise.all([
    judge("entry-is-well-formed", () => checkEntries(found)),
    judge("commitment-matches-data", () => checkCommitments(found)),
    judge("data-is-canonical", () => checkData(found)),
    body,
    judge("record-is-new", () => checkNew(leaves)),
  ]);
  return { checks, leaves };
}

/** What is found out about one record: its leaf, whether it has data, and what is wrong with each part, in words. */
async function lookAt(record) {
  const found = { leaf: null, hasData: false, wrongEntry: null, wrongData: null, wrongCommit: null };
  try {
    found.leaf = await leafOf(record);
  } catch (error) {
    found.wrongEntry = { what: sentence(error) };
  }
  const [salt, data, erased] = ["salt", "data", "erased"].map((name) => member(record, name));
  if (salt === undefined && data === undefined && erased === true) return found;
  if (salt === undefined || data === undefined || erased !== undefined) {
    found.wrongCommit = { what: "It is to have salt and data, or else erased, which is true." };
    return found;
  }
  found.hasData = true;
  try {
    canonical(data);
  } catch (error) {
    found.wrongData = { what: sentence(error) };
    return found;
  }
  found.wrongCommit = await wrongCommit(record);
  return found;
}

async function wrongCommit(record) {
  try {
    const [expected, said] = [await commitment(record.salt, record.data), member(record, "commit")];
    return expected === said ? null : compares("Its salt and data make another commit.", expected, said);
  } catch (error) {
    return { what: sentence(error) };
  }
}

/** A check that fails for the first record with something wrong in this part; null when there is none. */
function firstWrong(found, part) {
  const at = found.findIndex((each) => each[part] !== null);
  if (at < 0) return null;
  const { what, expected = null, found: said = null } = found[at][part];
  return { ...fails(`Record ${at + 1} of ${found.length}: ${what}`), expected, found: said };
}

function checkEntries(found) {
  const well = `An id and a commit of the right form were looked for, in ${counted(found.length, "record")}.`;
  return firstWrong(found, "wrongEntry") ?? holds(well);
}

function checkCommitments(found) {
  const wrong = firstWrong(found, "wrongCommit");
  if (wrong) return wrong;
  const [all, here] = [found.length, found.filter(({ hasData }) => hasData).length];
  if (!here) return unknown(`The data of all ${counted(all, "record")} was erased or withheld.`);
  const gone = all === here ? "" : ` The data of ${counted(all - here, "other")} was erased or withheld.`;
  return holds(`Salt and data of ${counted(here, "record")} were hashed, and are what was committed to.${gone}`);
}

function checkData(found) {
  const wrong = firstWrong(found, "wrongData");
  if (wrong) return wrong;
  if (!found.some(({ hasData }) => hasData)) return unknown("There is no data here.");
  return holds("All data that is here has a canonical form (RFC 8785), which is what was hashed.");
}

async function checkBody(block, leaves) {
  if (!leaves) return fails("Not every record has an entry, so there is nothing that the header could commit to.");
  const what = leaves.length
    ? `The leaf of each of ${counted(leaves.length, "record")} was computed, and all of them hashed.`
    : "The block holds no records, so this is the hash of nothing.";
  return compares(what, await bodyHash(leaves), member(block, "body_hash"));
}

function checkNew(leaves) {
  if (!leaves) return unknown("Not every record has an entry to be told from the others.");
  const seen = new Set(leaves.map(hex));
  if (seen.size === leaves.length) return holds("No record stands in this block twice.");
  return fails(`Among ${counted(leaves.length, "record")} only ${seen.size} are different.`);
}
