/*
 * Proofs, step by step (docs/format.md, "Proofs"). Each step fits the next alone:
 *
 *     salt and data  ->  commitment in the entry  ->  leaf  ->  path  ->  log_root in the header  ->  hash of the block
 *
 * and the hash of the block is one that you trust. Without one, all else shows nothing; then the step that compares
 * them cannot be judged. Steps have the names of rules about blocks where they check the same thing.
 */

import { fromHex, hex, utf8 } from "./bytes.js";
import { canonical } from "./canonical.js";
import { sha256 } from "./hash.js";
import { followConsistency, followInclusion, leafHash } from "./log.js";
import { commitment, readEntry } from "./record.js";
import { isHash, readHeader } from "./sealed.js";
import { member, shown } from "./shown.js";
import { compares, fails, holds, judge, unknown } from "./verdict.js";

export const FORMAT = "tallystick-proof/1";
export const CONSISTENCY_FORMAT = "tallystick-consistency/1";

/** No log is higher, for it has less than 2^53 entries; and a consistency proof has one hash to begin with. */
const PATH_MAX = 54;

/**
 * The steps of a proof that a record stands in the log.
 * @param {unknown} proof the document
 * @param {{trusted?: string | null}} [by] the hash of the block, from somebody you trust
 * @returns {Promise<import("./verdict.js").Check[]>}
 */
export async function checkProof(proof, { trusted = null } = {}) {
  const header = await headerOf(proof, "header");
  return Promise.all([
    judge("proof-is-well-formed", () => checkProofForm(proof)),
    checkHeaderForm(header, "the header"),
    judge("hash-matches-content", () => checkNamed(proof, header)),
    checkTrusted(header, trusted, "the block"),
    judge("entry-is-well-formed", () => checkEntry(proof)),
    judge("data-is-canonical", () => checkData(proof)),
    judge("commitment-matches-data", () => checkCommitment(proof)),
    judge("path-leads-to-root", () => checkInclusion(proof, header)),
  ]);
}

/**
 * The same steps for a record that a node shows, and before them whether the proof is of what it shows.
 * @param {object} record as the API shows it
 * @param {unknown} proof of it
 * @param {{id: string, network: string, trusted?: string | null}} by the id that was asked for, the network's, and the hash
 * @returns {Promise<import("./verdict.js").Check[]>}
 */
export async function checkRecordProof(record, proof, { id, network, trusted = null }) {
  const steps = await checkProof(proof, { trusted });
  return [await judge("proof-is-of-what-is-shown", () => checkShown(record, proof, id, network)), ...steps];
}

/**
 * The steps of a proof that the log of one block begins with the log of another.
 * @param {unknown} proof the document
 * @param {string | null} [oldHash] of the block whose log is the shorter one, from somebody you trust
 * @param {string | null} [newHash] of the other block, likewise
 * @returns {Promise<import("./verdict.js").Check[]>}
 */
export async function checkConsistency(proof, oldHash = null, newHash = null) {
  const [old, header] = await Promise.all([headerOf(proof, "old_header"), headerOf(proof, "header")]);
  return Promise.all([
    judge("proof-is-well-formed", () => checkForm(proof, CONSISTENCY_FORMAT)),
    checkHeaderForm(old, "the old header"),
    checkHeaderForm(header, "the header"),
    checkTrusted(old, oldHash, "the old block"),
    checkTrusted(header, newHash, "the block"),
    judge("path-leads-to-both-roots", () => checkLinked(proof, old, header)),
  ]);
}

// --- headers ----------------------------------------------------------------------------------------

/** A header's hash and fields, or why it has none. */
async function headerOf(proof, name) {
  try {
    const bytes = headerHex(member(proof, name));
    return { hash: hex(await sha256(bytes)), fields: readHeader(bytes), why: null };
  } catch (error) {
    return { hash: null, fields: null, why: error };
  }
}

function headerHex(text) {
  try {
    return fromHex(text);
  } catch (error) {
    throw new Error(`the header ${shown(text)} is ${error.message}`);
  }
}

function checkHeaderForm({ fields, why }, which) {
  return judge("header-is-well-formed", () => {
    if (why) throw why;
    return holds(`From ${which}: block ${fields.index}, with a log of ${fields.log_size} entries.`);
  });
}

function checkNamed(proof, { hash }) {
  if (hash === null) return unknown("There is no header to be hashed.");
  const what = "The header was hashed, and compared with the block that the proof names.";
  return compares(what, hash, member(proof, "block"));
}

function checkTrusted({ hash }, trusted, which) {
  return judge("block-is-trusted", () => {
    if (trusted === null || trusted === undefined) {
      return unknown(`Compare the hash of ${which} with one from somebody you trust; all else rests on it.`);
    }
    if (hash === null) return fails(`There is no header of ${which} to be hashed.`);
    return compares(`The hash of the header of ${which} was compared with the one that you trust.`, trusted, hash);
  });
}

// --- forms ------------------------------------------------------------------------------------------

function checkForm(proof, format) {
  const [said, network, path] = ["format", "network", "path"].map((name) => member(proof, name));
  if (said !== format) return fails(`The format is ${shown(said)}; ${format} is known here.`);
  if (!isHash(network)) return fails(`The network is ${shown(network)}, not 64 lower-case hex digits.`);
  readPath(path);
  return holds(`It is a document of the format ${format}. The network that it names is not proven.`);
}

function checkProofForm(proof) {
  const position = member(proof, "position");
  if (!Number.isSafeInteger(position) || position < 0) {
    return fails(`The position is ${shown(position)}, not a whole number from 0 to 2^53 - 1.`);
  }
  if (!isHash(member(proof, "block"))) {
    return fails(`The block is ${shown(member(proof, "block"))}, not 64 lower-case hex digits.`);
  }
  return checkForm(proof, FORMAT);
}

function readPath(path) {
  if (!Array.isArray(path)) throw new Error(`the path is ${shown(path)}, not a list of hashes`);
  if (path.length > PATH_MAX) throw new Error(`the path has ${path.length} hashes, and no log is so high`);
  const wrong = path.find((each) => !isHash(each));
  if (wrong !== undefined) throw new Error(`${shown(wrong)} in the path is not 64 lower-case hex digits`);
  return path.map(fromHex);
}

// --- a record ---------------------------------------------------------------------------------------

/** Null and missing are the same here: without a salt there is no data. */
const saltOf = (proof) => member(proof, "salt") ?? null;
const dataOf = (proof) => member(proof, "data") ?? null;

function checkEntry(proof) {
  const { id } = readEntry(member(proof, "entry"));
  return holds(`The entry is written the one way there is, and names the record ${id}.`);
}

function checkData(proof) {
  if (saltOf(proof) === null) return unknown("There is no data here.");
  canonical(dataOf(proof));
  return holds("The data has a canonical form (RFC 8785), which is what was hashed.");
}

async function checkCommitment(proof) {
  const { commit } = readEntry(member(proof, "entry"));
  if (saltOf(proof) === null) {
    if (dataOf(proof) !== null) return fails("There is data, but no salt that ties it to the entry.");
    return unknown("Salt and data were erased or withheld. The entry is proven without them.");
  }
  const computed = await commitment(saltOf(proof), dataOf(proof));
  return compares("Salt and data were hashed, and compared with the commit in the entry.", computed, commit);
}

/** A proof that holds says nothing of what stands beside it, unless that is the same. */
function checkShown(record, proof, id, network) {
  const entry = readEntry(member(proof, "entry"));
  const pairs = [
    ["id", entry.id, id],
    ["id", entry.id, member(record, "id")],
    ["commit", entry.commit, member(record, "commit")],
    ["salt", saltOf(proof), saltOf(record)],
    ["position", member(proof, "position"), member(record, "position")],
    ["network", network, member(proof, "network")],
  ];
  const wrong = pairs.find(([, proven, said]) => proven !== said);
  if (wrong) return compares(`The ${wrong[0]} that is shown was compared with that of the proof.`, wrong[1], wrong[2]);
  if (member(record, "data") === undefined && saltOf(proof) !== null)
    return fails("The data is not shown, and is there.");
  if (canonical(dataOf(proof)) !== canonical(dataOf(record)))
    return fails("The data that is shown is not that of the proof.");
  return holds("Id, data and position that are shown here are those of the proof.");
}

async function checkInclusion(proof, { fields }) {
  if (!fields) return unknown("Without a header there is no root to be led to.");
  const position = member(proof, "position");
  if (!Number.isSafeInteger(position)) return unknown("Without a position there is no way to follow.");
  const path = readPath(member(proof, "path"));
  const entry = member(proof, "entry");
  readEntry(entry);
  const root = await followInclusion(await leafHash(utf8(entry)), position, fields.log_size, path);
  const way = `From the leaf at position ${position} the path was followed to the root of ${fields.log_size} entries.`;
  return compares(way, hex(root), hex(fields.log_root));
}

// --- two blocks -------------------------------------------------------------------------------------

async function checkLinked(proof, { fields: old }, { fields }) {
  if (!old || !fields) return unknown("Without both headers there are no roots to be led to.");
  const path = readPath(member(proof, "path"));
  const roots = await followConsistency(old.log_size, old.log_root, fields.log_size, fields.log_root, path);
  const isOld = hex(roots[0]) !== hex(old.log_root);
  const way = `The path was followed to the roots of ${old.log_size} and of ${fields.log_size} entries`;
  return isOld
    ? compares(`${way}; this is the first.`, hex(roots[0]), hex(old.log_root))
    : compares(`${way}; this is the second.`, hex(roots[1]), hex(fields.log_root));
}
