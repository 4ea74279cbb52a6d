/*
 * The right edge of a log: the roots of the perfect trees that its entries make, the greatest first. It is all that is
 * needed to append to a log and to know its root, a few hashes however long the log is (RFC 9162, section 2.1).
 *
 * It need not be asked for. The inclusion path of an entry at position p names, on its left, just the trees that the p
 * entries before it make. So the path of a block's first record shows what the log was before that block, and whether
 * its records lead from the log root of its parent to its own.
 */

import { EMPTY_ROOT, nodeHash } from "./log.js";

/** An edge of no entries. */
export const EMPTY = Object.freeze({ size: 0, trees: Object.freeze([]) });

/**
 * The edge of the `position` entries before an entry, from its inclusion path in a log of `size` entries. Throws an Error
 * when the path is not as long as such a path is. Whether it is the true one shows when its root is compared.
 * @param {number} position
 * @param {number} size
 * @param {Uint8Array[]} path from the leaf up
 * @returns {{size: number, trees: Uint8Array[]}}
 */
export function edgeBefore(position, size, path) {
  let [node, last] = [BigInt(position), BigInt(size) - 1n];
  const trees = [];
  for (const beside of path) {
    if (last <= 0n) throw new Error("the path is too long");
    if (node & 1n || node === last) {
      trees.unshift(beside);
      while (node && !(node & 1n)) [node, last] = [node >> 1n, last >> 1n];
    }
    [node, last] = [node >> 1n, last >> 1n];
  }
  if (trees.length !== heights(position).length) throw new Error("the path is too short");
  return { size: position, trees };
}

/**
 * The edge after more entries.
 * @param {{size: number, trees: Uint8Array[]}} edge
 * @param {Uint8Array[]} leaves
 * @returns {Promise<{size: number, trees: Uint8Array[]}>}
 */
export async function extended(edge, leaves) {
  let { size } = edge;
  const trees = [...edge.trees];
  for (const leaf of leaves) {
    let tree = leaf;
    for (let below = size; below % 2 === 1; below = Math.floor(below / 2)) tree = await nodeHash(trees.pop(), tree);
    trees.push(tree);
    size += 1;
  }
  return { size, trees };
}

/**
 * The root of the log that has this edge.
 * @param {{trees: Uint8Array[]}} edge
 * @returns {Promise<Uint8Array>}
 */
export async function rootOfEdge({ trees }) {
  if (!trees.length) return EMPTY_ROOT;
  let root = trees.at(-1);
  for (const tree of trees.slice(0, -1).reverse()) root = await nodeHash(tree, root);
  return root;
}

/** Heights of the perfect trees that so many entries make: the bits that are set. */
function heights(size) {
  return [...BigInt(size).toString(2)].filter((bit) => bit === "1");
}
