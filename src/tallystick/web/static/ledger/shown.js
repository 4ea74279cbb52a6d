/*
 * Values of strangers, as they may stand in a sentence: escaped, and no more of them than a reader needs.
 *
 * A page shows them as text, so none of them can become markup. Escapes are for what looks like something else: line
 * breaks, letters that run from right to left, spaces that take no room.
 */

const MOST = 80;

/**
 * A foreign value, quoted if it is a text, in ASCII, about `most` characters of it.
 * @param {unknown} value
 * @param {number} [most]
 * @returns {string}
 */
export function shown(value, most = MOST) {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  const whole = typeof value === "string" ? JSON.stringify(value.slice(0, most + 1)) : String(value);
  const text = whole.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return text.length <= most ? text : `${text.slice(0, most)}...`;
}

/**
 * A member that is the value's own; undefined for any other, and for what has no members.
 * @param {unknown} value
 * @param {string} name
 * @returns {unknown}
 */
export function member(value, name) {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name) ? value[name] : undefined;
}
