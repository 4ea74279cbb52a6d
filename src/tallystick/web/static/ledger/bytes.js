/*
 * Bytes, and the ways in which the ledger writes them down.
 *
 * Hashes and headers are lower-case hex; salts and commitments are base64url without padding (RFC 4648, section 5).
 * Each has one spelling only: what another encoder might have written is refused, or one value would have two hashes.
 * Numbers in a header are big-endian (docs/format.md, "Conventions").
 */

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const ENCODER = new TextEncoder();
const HALF_PAIR = /\p{Surrogate}/u;

/**
 * The bytes as lower-case hex.
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export function hex(bytes) {
  return Array.from(bytes, (byte) => HEX[byte]).join("");
}

/**
 * The bytes of lower-case hex. Throws an Error for anything else.
 * @param {string} text
 * @returns {Uint8Array}
 */
export function fromHex(text) {
  if (typeof text !== "string" || text.length % 2 || /[^0-9a-f]/.test(text)) {
    throw new Error("not an even number of lower-case hex digits");
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = Number.parseInt(text.slice(2 * at, 2 * at + 2), 16);
  return bytes;
}

/**
 * The bytes as base64url without padding.
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export function base64url(bytes) {
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/**
 * The bytes of base64url without padding, whose spare bits are zero. Throws an Error for anything else.
 * @param {string} text
 * @returns {Uint8Array}
 */
export function fromBase64url(text) {
  if (typeof text !== "string" || text.length % 4 === 1 || /[^A-Za-z0-9_-]/.test(text)) {
    throw new Error("not base64url without padding");
  }
  const letters = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  if (base64url(bytes) !== text) throw new Error("base64url whose last character has spare bits that are not zero");
  return bytes;
}

/**
 * The UTF-8 of a text. Throws an Error for half a surrogate pair, which has none (TextEncoder would write U+FFFD).
 * @param {string} text
 * @returns {Uint8Array}
 */
export function utf8(text) {
  if (typeof text !== "string") throw new Error("not a text");
  if (HALF_PAIR.test(text)) throw new Error("a text with half a surrogate pair, which has no UTF-8 form");
  return ENCODER.encode(text);
}

/**
 * One after the other.
 * @param {...Uint8Array} parts
 * @returns {Uint8Array}
 */
export function concat(...parts) {
  return joined(parts);
}

/**
 * Any number of them, one after the other.
 * @param {Uint8Array[]} parts
 * @returns {Uint8Array}
 */
export function joined(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Are they the same?
 * @param {Uint8Array} one
 * @param {Uint8Array} other
 * @returns {boolean}
 */
export function same(one, other) {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/**
 * A whole number in 4 bytes, big-endian. Throws an Error for one that does not fit.
 * @param {number} value
 * @returns {Uint8Array}
 */
export function u32(value) {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) throw new Error("not a number of 32 bits");
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/**
 * A whole number in 8 bytes, big-endian. Throws an Error for one that does not fit.
 * @param {number | bigint} value
 * @returns {Uint8Array}
 */
export function u64(value) {
  const number = typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof number !== "bigint" || number < 0n || number >= 1n << 64n) throw new Error("not a number of 64 bits");
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, number);
  return bytes;
}

/**
 * The big-endian number that these bytes are.
 * @param {Uint8Array} bytes
 * @returns {bigint}
 */
export function toNumber(bytes) {
  return bytes.length ? BigInt(`0x${hex(bytes)}`) : 0n;
}
