/*
 * One way to write a JSON value: RFC 8785, the JSON Canonicalization Scheme (docs/format.md, "Canonical JSON").
 *
 * A record commits to the hash of its data, so whoever checks it has to write the same bytes: no white space, keys in
 * the order of their UTF-16 code units, strings escaped where they must be, numbers as ECMAScript writes them. The RFC
 * was made after JavaScript, so JSON.stringify writes strings and numbers as it asks, and sort() sorts as it does. What
 * is left to us are the limits of the ledger.
 *
 * JSON.parse keeps the last of two equal keys, and the double that is nearest to a number. So what is checked is the
 * value that a reader of this page sees, and not how its sender spelled it.
 */

/** Arrays and objects stand at most so deep within each other. */
export const DEPTH_MAX = 64;

/** Doubles below this one are written without an exponent, and so look like integers (ECMA-262, Number::toString). */
const EXPONENT_FROM = 1e21;

const HALF_PAIR = /\p{Surrogate}/u;

/**
 * The canonical text of a JSON value. Throws an Error, which says why, for what has none.
 * @param {unknown} value as JSON.parse makes it
 * @returns {string}
 */
export function canonical(value) {
  const parts = [];
  write(value, parts, DEPTH_MAX);
  return parts.join("");
}

function write(value, parts, depth) {
  if (value === null || typeof value === "boolean") parts.push(String(value));
  else if (typeof value === "string") parts.push(text(value));
  else if (typeof value === "number") parts.push(number(value));
  else if (typeof value !== "object") throw new Error(`a ${typeof value} is no value of JSON`);
  else if (depth === 0) throw new Error(`it is nested more than ${DEPTH_MAX} deep`);
  else if (Array.isArray(value)) writeArray(value, parts, depth - 1);
  else writeObject(value, parts, depth - 1);
}

function writeArray(values, parts, depth) {
  parts.push("[");
  for (let at = 0; at < values.length; at += 1) {
    if (at) parts.push(",");
    write(values[at], parts, depth);
  }
  parts.push("]");
}

function writeObject(object, parts, depth) {
  parts.push("{");
  Object.keys(object)
    .sort()
    .forEach((key, at) => {
      parts.push(at ? "," : "", text(key), ":");
      write(object[key], parts, depth);
    });
  parts.push("}");
}

function text(value) {
  if (HALF_PAIR.test(value)) throw new Error("a text holds half a surrogate pair, which has no UTF-8 form");
  return JSON.stringify(value);
}

function number(value) {
  if (!Number.isFinite(value)) throw new Error(`${value} is no number of JSON`);
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER && Math.abs(value) < EXPONENT_FROM) {
    throw new Error(`${value} is a whole number beyond 2^53 - 1`);
  }
  return String(value); // of -0 it is "0"
}
