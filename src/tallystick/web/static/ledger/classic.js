/*
 * Blocks of the book (docs/classic.md; "Foundations of Blockchain", chapter 4, `calculate_hash`).
 *
 *     hash = SHA-256( str(index) + previous_hash + str(timestamp) + data ), lower-case hex
 *
 * Nothing separates the parts, so digits could wander between timestamp and data without changing the hash. A timestamp
 * of exactly ten digits leaves one way only to read a preimage.
 */

import { hex, utf8 } from "./bytes.js";
import { sha256 } from "./hash.js";
import { member, shown } from "./shown.js";

/** Seconds since 1970 in exactly ten digits. */
export const TIMESTAMP_MIN = 1_000_000_000;
export const TIMESTAMP_MAX = 9_999_999_999;

/** The block that every chain of a classic network begins with. */
export const GENESIS = Object.freeze({
  data: "my genesis block!!",
  hash: "816534932c2b7154836da6afc367695e6337db8a921823784c14378abed4f7d7",
  index: 0,
  previous_hash: "0",
  timestamp: 1465154705,
});

/**
 * What is hashed of a block. Throws an Error that names the member that cannot be.
 * @param {object} block as the API shows it
 * @returns {string}
 */
export function preimage(block) {
  const index = member(block, "index");
  const previous = member(block, "previous_hash");
  const timestamp = member(block, "timestamp");
  const data = member(block, "data");
  if (!Number.isSafeInteger(index)) throw new Error(`the index is ${shown(index)}, not a whole number`);
  if (typeof previous !== "string") throw new Error(`the previous_hash is ${shown(previous)}, not a text`);
  if (!Number.isSafeInteger(timestamp)) throw new Error(`the timestamp is ${shown(timestamp)}, not a whole number`);
  if (typeof data !== "string") throw new Error(`the data is ${shown(data)}, not a text`);
  return `${index}${previous}${timestamp}${data}`;
}

/**
 * The hash of a block, from its content. Rejects with an Error when a member cannot be hashed.
 * @param {object} block as the API shows it
 * @returns {Promise<string>} 64 hex digits
 */
export async function classicHash(block) {
  return hex(await sha256(utf8(preimage(block))));
}
