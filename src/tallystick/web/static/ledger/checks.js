/*
 * What can be said of a block by somebody who has it, and perhaps its parent, and trusts nobody for it.
 *
 * Rules have the names of docs/format.md, "When a block is valid", and come in that order. A block of the book is known
 * by what it lacks: it has no `records`. Of many records one check tells the sum, and names the first that fails.
 *
 * That every check holds does not mean that the block is part of the chain: anybody can make a block that is sound, at
 * the price of its seal. What takes the network's parameters, more of the chain or a clock is listed at the end.
 */

import { GENESIS, TIMESTAMP_MAX, TIMESTAMP_MIN, classicHash } from "./classic.js";
import { hex } from "./bytes.js";
import { ofEach } from "./hash.js";
import { rootOf } from "./log.js";
import { commitment, leafOf } from "./record.js";
import { RECORDS_MAX, checkRecords } from "./records.js";
import { bodyHash, expand, expectedHashes, headerBytes, isHash, meetsTarget, sealOf, sealedHash } from "./sealed.js";
import { member, shown } from "./shown.js";
import { compares, counted, fails, holds, judge, unknown } from "./verdict.js";

export { checkConsistency, checkProof } from "./proofs.js";

/**
 * Everything that a block and its parent show by themselves.
 * @param {unknown} block as the API shows it
 * @param {unknown} [parent] likewise; null when it is not here, and for the genesis block
 * @param {{network?: string | null}} [trusted] the id of the network, if it is known: its genesis block has that hash
 * @returns {Promise<import("./verdict.js").Check[]>}
 */
export async function checkBlock(block, parent = null, { network = null } = {}) {
  if (typeof block !== "object" || block === null || Array.isArray(block)) {
    return [await judge("hash-matches-content", () => fails(`This is ${shown(block)}, and no block.`))];
  }
  return isSealed(block) ? checkSealed(block, parent, network) : checkClassic(block, parent);
}

/**
 * A copy of a block in which everything that follows from its content is computed anew: of a block of the book the
 * hash, of a sealed block each commit of a record with its data, the body_hash and the hash. A nonce is not looked for,
 * so the seal of a block that was changed hardly holds any more. The log_root stays as it is: it commits to all entries
 * of the chain, and a block has its own only. So does everything that has no form to be computed from.
 * @param {object} block as the API shows it; its data is shared with the copy
 * @returns {Promise<object>}
 */
export async function rehash(block) {
  if (!isSealed(block)) return { ...block, hash: await or(member(block, "hash"), () => classicHash(block)) };
  const copy = { ...block };
  if (Array.isArray(copy.records)) {
    copy.records = await ofEach(copy.records.slice(0, RECORDS_MAX), committed);
    copy.body_hash = await or(copy.body_hash, async () => bodyHash(await ofEach(copy.records, leafOf)));
  }
  copy.hash = await or(copy.hash, () => sealedHash(copy));
  return copy;
}

/**
 * Is this a block of a sealed network? Else it is one of the book.
 * @param {unknown} block
 * @returns {boolean}
 */
export function isSealed(block) {
  return member(block, "records") !== undefined;
}

async function committed(record) {
  if (member(record, "salt") === undefined || member(record, "data") === undefined) return record;
  return { ...record, commit: await or(record.commit, () => commitment(record.salt, record.data)) };
}

async function or(value, work) {
  try {
    return await work();
  } catch {
    return value;
  }
}

// --- of any kind ------------------------------------------------------------------------------------

const isIndex = (value) => Number.isSafeInteger(value) && value >= 0;

function checkIndex(block) {
  const index = member(block, "index");
  if (isIndex(index)) return holds("The index is a whole number from 0 to 2^53 - 1.");
  return fails(`The index is ${shown(index)}, not a whole number from 0 to 2^53 - 1.`);
}

async function checkHash(block, hashOf, hashed) {
  return compares(`The hash was computed from ${hashed}.`, await hashOf(block), member(block, "hash"));
}

function checkFollows(block, parent) {
  if (parent === null) return unknown("The parent is not here to compare with.");
  const before = member(parent, "index");
  if (!isIndex(before)) return fails(`The parent's index is ${shown(before)}, which nothing can follow.`);
  return compares("The index was compared with the parent's and one.", before + 1, member(block, "index"));
}

async function checkNames(block, parent) {
  const named = member(block, "previous_hash");
  if (!isHash(named)) return fails(`The previous_hash is ${shown(named)}, which names no block.`);
  if (parent === null) return unknown("The parent is not here to be hashed.");
  const hash = await (isSealed(parent) ? sealedHash(parent) : classicHash(parent));
  return compares("The parent's content was hashed, and compared with the hash that the block names.", hash, named);
}

const linked = (block, parent) => [
  judge("index-follows-parent", () => checkFollows(block, parent)),
  judge("names-its-parent", () => checkNames(block, parent)),
];

// --- of the book ------------------------------------------------------------------------------------

function checkClassic(block, parent) {
  const isGenesis = member(block, "index") === 0;
  return Promise.all([
    judge("index-in-range", () => checkIndex(block)),
    judge("timestamp-has-ten-digits", () => checkSeconds(block)),
    judge("hash-matches-content", () =>
      checkHash(block, classicHash, "index, previous_hash, timestamp and data, in this order"),
    ),
    ...(isGenesis ? [judge("genesis-is-ours", () => checkClassicGenesis(block))] : linked(block, parent)),
  ]);
}

function checkSeconds(block) {
  const timestamp = member(block, "timestamp");
  if (Number.isSafeInteger(timestamp) && timestamp >= TIMESTAMP_MIN && timestamp <= TIMESTAMP_MAX) {
    return holds("The timestamp has ten digits, so that its end and the beginning of the data cannot be mistaken.");
  }
  return fails(`The timestamp is ${shown(timestamp)}, not ten digits of seconds.`);
}

function checkClassicGenesis(block) {
  const name = Object.keys(GENESIS).find((each) => member(block, each) !== GENESIS[each]);
  if (name === undefined) return holds("Each member is that of the one block that classic chains begin with.");
  const what = `The ${name} was compared with that of the one block that classic chains begin with.`;
  return compares(what, GENESIS[name], member(block, name));
}

// --- of sealed networks -----------------------------------------------------------------------------

async function checkSealed(block, parent, network) {
  const hash = await or(null, () => sealedHash(block));
  const first = [
    judge("index-in-range", () => checkIndex(block)),
    judge("header-is-well-formed", () => checkHeader(block)),
    judge("hash-matches-content", () => checkHash(block, sealedHash, "the header that the members make")),
  ];
  if (member(block, "index") === 0) {
    return Promise.all([...first, judge("genesis-is-ours", () => checkSealedGenesis(block, hash, network))]);
  }
  const before = await Promise.all([...first, judge("seal-holds", () => checkSeal(block, hash))]);
  const { checks, leaves } = await checkRecords(block);
  const after = [...linked(block, parent), judge("log-matches-records", () => checkLog(block, parent, leaves))];
  return [...before, ...checks, ...(await Promise.all(after))];
}

function checkHeader(block) {
  return holds(`The members make a header of ${headerBytes(block).length} bytes.`);
}

function checkSealedGenesis(block, hash, network) {
  const records = member(block, "records");
  if (!Array.isArray(records) || records.length) return fails("The block at index 0 holds no records in any network.");
  if (network === null) return unknown("Its hash is the id of the network. Compare it with the one that you know.");
  return compares("The hash of the block at index 0 is the id of the network.", network, hash);
}

function checkSeal(block, hash) {
  if (hash === null) return unknown("Without a header there is no hash that could fit.");
  const { bits } = sealOf(block); // it is part of the header
  const target = expand(bits).toString(16).padStart(64, "0");
  const work = expectedHashes(bits).toLocaleString("en");
  return {
    holds: meetsTarget(hash, bits),
    what: `The hash has to be at most the target that the bits stand for. To find one takes ${work} hashes on average.`,
    expected: `at most ${target}`,
    found: hash,
  };
}

async function checkLog(block, parent, leaves) {
  const [size, root] = [member(block, "log_size"), member(block, "log_root")];
  if (!leaves || !isIndex(size) || !isHash(root)) return unknown("Log and records have no form to be compared.");
  const before = size - leaves.length;
  if (before < 0) {
    return fails(`The log has ${counted(size, "record")}, and this block alone ${leaves.length.toLocaleString("en")}.`);
  }
  if (parent !== null && member(parent, "log_size") !== before) {
    const what = "The log has to grow by as many entries as the block has records. This is its size before them.";
    return compares(what, before, member(parent, "log_size"));
  }
  if (before === 0) {
    const whole = hex(await rootOf(leaves));
    return compares("All entries of the log stand in this block, so its root was computed from them.", whole, root);
  }
  if (parent === null) return unknown("The parent is not here, whose log this one goes on from.");
  if (leaves.length) {
    return unknown("The log grew by as many entries as there are records. Its root takes a proof, or all entries.");
  }
  return compares("Without records the log stays what it was with the parent.", member(parent, "log_root"), root);
}

// --- what is not judged -----------------------------------------------------------------------------

/** Rules of docs/format.md that a block and its parent do not show, and what they take. */
export const NOT_JUDGED = Object.freeze({
  "message-is-decodable": "It is about how peers send blocks to one another.",
  "data-within-size": "It takes the limits of the network.",
  "block-within-size": "It takes the limits of the network.",
  "difficulty-follows-schedule": "It takes the parameters of the network.",
  "time-after-median": "It takes the eleven blocks before.",
  "time-not-from-future": "It takes the clock of whoever took the block.",
});
