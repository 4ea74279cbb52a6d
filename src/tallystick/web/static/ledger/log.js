/*
 * The log: an append-only Merkle tree over entries (RFC 9162, section 2.1; docs/format.md, "The log").
 *
 *     leaf = SHA-256( 00 || entry )    node = SHA-256( 01 || left || right )    root of no entries = SHA-256( "" )
 *
 * A root commits to all entries and to their order. Few hashes show what is in it: an inclusion path leads from a leaf
 * to the root, a consistency path to the root of the log as it once was and to that of the log as it is. Both are
 * followed here to wherever they lead; whether that is the right root is for the caller to compare.
 *
 * A log has less than 2^53 entries, so no path that is followed to its end is longer than its tree is high.
 */

import { concat, fromHex } from "./bytes.js";
import { ofEach, sha256 } from "./hash.js";

const LEAF = new Uint8Array([0]);
const NODE = new Uint8Array([1]);

/** The root of no entries: SHA-256 of nothing. */
export const EMPTY_ROOT = fromHex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

/**
 * SHA-256( 00 || entry )
 * @param {Uint8Array} entry
 * @returns {Promise<Uint8Array>}
 */
export function leafHash(entry) {
  return sha256(concat(LEAF, entry));
}

/**
 * SHA-256( 01 || left || right )
 * @param {Uint8Array} left
 * @param {Uint8Array} right
 * @returns {Promise<Uint8Array>}
 */
export function nodeHash(left, right) {
  return sha256(concat(NODE, left, right));
}

/**
 * The root over these leaves, level by level; a last one without a neighbour goes up as it is.
 * @param {Uint8Array[]} leaves
 * @returns {Promise<Uint8Array>}
 */
export async function rootOf(leaves) {
  if (!leaves.length) return EMPTY_ROOT;
  let row = leaves;
  while (row.length > 1) {
    const below = row;
    const lefts = below.filter((_, at) => at % 2 === 0);
    row = await ofEach(lefts, (left, at) =>
      2 * at + 1 < below.length ? nodeHash(left, below[2 * at + 1]) : Promise.resolve(left),
    );
  }
  return row[0];
}

/**
 * The root that a path leads to from the leaf at `position` of a log of `size` entries (RFC 9162, section 2.1.3.2).
 * Rejects with an Error when there is no such position, or the path is not as long as the tree is high there.
 * @param {Uint8Array} leaf
 * @param {number} position
 * @param {number} size
 * @param {Uint8Array[]} path
 * @returns {Promise<Uint8Array>}
 */
export async function followInclusion(leaf, position, size, path) {
  if (position < 0 || position >= size) {
    throw new Error(`the log has ${size} entries, so none stands at position ${position}`);
  }
  let [node, last] = [BigInt(position), BigInt(size) - 1n];
  let hash = leaf;
  for (const beside of path) {
    checkNotAtRoot(last, size);
    if (node & 1n || node === last) {
      hash = await nodeHash(beside, hash);
      [node, last] = pastLone(node, last);
    } else {
      hash = await nodeHash(hash, beside);
    }
    [node, last] = [node >> 1n, last >> 1n];
  }
  checkAtRoot(last, size);
  return hash;
}

/**
 * The two roots that a path leads to, of the first `oldSize` entries of a log and of all `newSize` (RFC 9162, section
 * 2.1.4.2). The claimed roots are what a path begins with where the RFC says so, or where it is empty: from no entries,
 * and from a log to itself. Rejects with an Error when sizes and path cannot belong together.
 * @param {number} oldSize
 * @param {Uint8Array} oldRoot
 * @param {number} newSize
 * @param {Uint8Array} newRoot
 * @param {Uint8Array[]} path
 * @returns {Promise<Uint8Array[]>} the old one and the new one
 */
export async function followConsistency(oldSize, oldRoot, newSize, newRoot, path) {
  if (oldSize > newSize) throw new Error(`a log of ${oldSize} entries is no beginning of one of ${newSize}`);
  if (oldSize === 0 || oldSize === newSize) {
    if (path.length) throw new Error(`from ${oldSize} entries a path of none is expected, not of ${path.length}`);
    return [oldSize === newSize ? newRoot : EMPTY_ROOT, newSize === 0 ? EMPTY_ROOT : newRoot];
  }
  let [node, last] = pastRight(BigInt(oldSize) - 1n, BigInt(newSize) - 1n);
  const isPerfect = node === 0n; // the old log is one perfect subtree, and its root is known
  const [first, ...rest] = isPerfect ? [oldRoot, ...path] : path;
  if (first === undefined) throw new Error("the path is empty");
  let [old, whole] = [first, first];
  for (const beside of rest) {
    checkNotAtRoot(last, newSize);
    if (node & 1n || node === last) {
      [old, whole] = await Promise.all([nodeHash(beside, old), nodeHash(beside, whole)]);
      [node, last] = pastLone(node, last);
    } else {
      whole = await nodeHash(whole, beside);
    }
    [node, last] = [node >> 1n, last >> 1n];
  }
  checkAtRoot(last, newSize);
  return [old, whole];
}

function checkNotAtRoot(last, size) {
  if (last === 0n) throw new Error(`the path is longer than a log of ${size} entries is high`);
}

function checkAtRoot(last, size) {
  if (last !== 0n) throw new Error(`the path is too short: it does not reach the root of ${size} entries`);
}

/** Up from the last node of a level past the levels on which it has no neighbour. */
function pastLone(node, last) {
  while (!(node & 1n) && node) [node, last] = [node >> 1n, last >> 1n];
  return [node, last];
}

/** Up to the subtree that ends with this node, as high as it is perfect. */
function pastRight(node, last) {
  while (node & 1n) [node, last] = [node >> 1n, last >> 1n];
  return [node, last];
}
