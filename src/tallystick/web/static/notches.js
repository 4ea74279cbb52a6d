// A hash as the notches of a tally stick. A stick was notched and split, and the halves told that they belong together by
// their notches: here one edge of a block carries its hash, the opposite one the hash it names as its predecessor's. Where
// the edges of two neighbours differ, they do not belong together. Eyes see that sooner than 64 digits.

import { s } from "./dom.js";

const COUNT = 8;
const PITCH = 6;
const DEPTH = 14;

/**
 * @param {string} hash 64 hex digits; of anything else the edge is smooth. Its last digits are drawn, as hashes of work
 *   begin with zeros
 * @param {"left" | "right" | "top" | "bottom"} edge which one it is
 * @returns {SVGElement} hidden from screen readers, as the digits stand beside it
 */
export function notches(hash, edge) {
  const length = COUNT * PITCH + 2;
  const isUpright = edge === "left" || edge === "right";
  const digits = /^[0-9a-f]{64}$/.test(hash) ? [...hash.slice(-COUNT)] : [];
  const marks = digits.map((digit, at) => {
    const depth = 1 + (parseInt(digit, 16) * (DEPTH - 2)) / 15;
    const [along, across] = [2 + at * PITCH, edge === "left" || edge === "top" ? 0 : DEPTH - depth];
    return isUpright
      ? s("rect", { x: across, y: along, width: depth, height: 3, rx: 1 })
      : s("rect", { x: along, y: across, width: 3, height: depth, rx: 1 });
  });
  const [width, height] = isUpright ? [DEPTH, length] : [length, DEPTH];
  return s(
    "svg",
    { class: `notches ${edge}`, viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" },
    marks,
  );
}
