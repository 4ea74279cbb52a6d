/*
 * How a check is told: which rule, whether it holds, and what was computed and compared.
 *
 * What is checked comes from a stranger, so a member that has not its form is a check that fails and says so, and never
 * an exception that leaves the others unseen.
 */

import { shown } from "./shown.js";

const PLAIN = /^[\w-]{1,64}$/;

/**
 * @typedef {object} Check
 * @property {string} rule its name in docs/format.md where it has one there
 * @property {boolean | null} holds null: it cannot be judged by what is here
 * @property {string} what a sentence: what was computed and compared
 * @property {string | null} expected what it has to be, as computed here
 * @property {string | null} found what it is said to be
 */

/**
 * A check that comes out as `work` finds; it fails with the words of whatever Error is thrown there.
 * @param {string} rule
 * @param {() => object | Promise<object>} work returns the other members
 * @returns {Promise<Check>}
 */
export async function judge(rule, work) {
  try {
    return { rule, ...(await work()) };
  } catch (error) {
    return { rule, ...fails(sentence(error)) };
  }
}

/** It holds. */
export const holds = (what) => ({ holds: true, what, expected: null, found: null });

/** It does not. */
export const fails = (what) => ({ holds: false, what, expected: null, found: null });

/** Nobody can say by what is here. */
export const unknown = (what) => ({ holds: null, what, expected: null, found: null });

/** It holds if both are the same. */
export const compares = (what, expected, found) => ({
  holds: expected === found,
  what,
  expected: told(expected),
  found: told(found),
});

/** An Error's words as a sentence. */
export function sentence(error) {
  const words = error instanceof Error ? error.message : String(error);
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}

/** So many of them, in words: "1 record", "2 records". */
export const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** Hashes, commitments and numbers are told as they are; what looks otherwise is quoted. */
function told(value) {
  return typeof value === "string" && PLAIN.test(value) ? value : shown(value);
}
