/*
 * What somebody would have to do who wants to change the past: edit a copy of a block, compute anew what follows from it,
 * and then do the same with every block behind. Nothing here touches a ledger; all of it is about copies.
 */

import { fromHex, hex } from "./bytes.js";
import { checkBlock, isSealed, rehash } from "./checks.js";
import { extended, rootOfEdge } from "./frontier.js";
import { ofEach, sha256Here } from "./hash.js";
import { leafOf } from "./record.js";
import { expand, headerBytes, sealOf } from "./sealed.js";
import { compares, judge } from "./verdict.js";

/** Nonces that are tried before whoever watches gets a turn. */
const AT_ONCE = 2_000;
const NONCE_BYTES = 8;

/**
 * What holds of copies of blocks that follow one another.
 * @param {object[]} blocks
 * @param {object | null} parent of the first one
 * @param {{size: number, trees: Uint8Array[]} | null} edge of the log before the first one, in a sealed network
 * @returns {Promise<import("./verdict.js").Check[][]>} for each block
 */
export async function judged(blocks, parent, edge) {
  const verdicts = [];
  let before = parent;
  for (const block of blocks) {
    const checks = await checkBlock(block, before);
    if (isSealed(block) && edge !== null) {
      edge = await after(edge, block);
      const at = checks.findIndex((check) => check.rule === "log-matches-records");
      if (at >= 0 && edge !== null) checks[at] = await judge("log-matches-records", () => checkRoot(block, edge));
    }
    verdicts.push(checks);
    before = block;
  }
  return verdicts;
}

async function checkRoot(block, edge) {
  const root = hex(await rootOfEdge(edge));
  return compares("The records were appended to the log before them, and its root computed.", root, block.log_root);
}

async function after(edge, block) {
  try {
    return await extended(edge, await ofEach(block.records, leafOf));
  } catch {
    return null;
  }
}

/**
 * A copy in which everything that follows from a block's own content is computed anew, and of the blocks behind it too if
 * `all` is set: then each names the new hash of the one before. Nonces stay what they are.
 * @param {object[]} blocks
 * @param {number} at
 * @param {{edge: {size: number, trees: Uint8Array[]} | null, all: boolean}} how
 * @returns {Promise<object[]>}
 */
export async function rewritten(blocks, at, { edge, all }) {
  const made = blocks.slice(0, at);
  for (const [number, block] of blocks.slice(at, all ? undefined : at + 1).entries()) {
    const copy = number === 0 ? block : { ...block, previous_hash: made.at(-1).hash };
    made.push(isSealed(copy) ? await resealed(copy, await edgeOf(made, edge)) : await rehash(copy));
  }
  return [...made, ...blocks.slice(made.length)];
}

async function edgeOf(blocks, edge) {
  for (const block of blocks) edge = edge && (await after(edge, block));
  return edge;
}

async function resealed(block, edge) {
  const copy = await rehash(block);
  const grown = edge && (await after(edge, copy));
  if (!grown) return copy;
  return rehash({ ...copy, log_size: grown.size, log_root: hex(await rootOfEdge(grown)) });
}

/**
 * Look for a nonce with which the seal of a block holds, as a miner does. The block's hash is tried first.
 * @param {object} block of a work network
 * @param {(tried: number) => Promise<boolean>} goOn told now and then how many were tried; says whether to go on
 * @returns {Promise<{block: object, tried: number} | null>} null when it was stopped
 */
export async function sealed(block, goOn) {
  const target = fromHex(expand(sealOf(block).bits).toString(16).padStart(64, "0"));
  const header = headerBytes(block);
  const nonceAt = new DataView(header.buffer, header.byteOffset + header.length - NONCE_BYTES);
  for (let tried = 0; ; tried += 1) {
    if (tried % AT_ONCE === 0 && !(await goOn(tried))) return null;
    nonceAt.setBigUint64(0, BigInt(tried));
    const hash = sha256Here(header);
    if (isAtMost(hash, target)) {
      const nonce = tried.toString(16).padStart(2 * NONCE_BYTES, "0");
      const seal = block.seal.slice(0, -2 * NONCE_BYTES) + nonce;
      return { block: { ...block, seal, hash: hex(hash) }, tried: tried + 1 };
    }
  }
}

/** Of two numbers of as many bytes. The first bytes tell almost always. */
function isAtMost(one, other) {
  const at = one.findIndex((byte, place) => byte !== other[place]);
  return at < 0 || one[at] < other[at];
}
