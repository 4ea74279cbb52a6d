// What a seal says, in words.

import { h } from "../dom.js";
import { compact, number } from "../format.js";
import { expectedHashes, sealOf } from "../ledger/sealed.js";
import { hashText } from "../parts.js";

/** Facts of a block's seal and log; a classic block has neither. */
export function sealFacts(block) {
  if (!("seal" in block)) return [["Seal", h("span", { class: "dim" }, "none: a classic block costs nothing")]];
  return [
    ["Log", `${number(block.log_size)} records up to here`],
    ["Log root", hashText(block.log_root)],
    ["Seal", sealWords(block)],
  ];
}

function sealWords(block) {
  const seal = sealOf(block);
  if (seal === null) return "of no known form";
  const { bits, nonce } = seal;
  try {
    return `nonce ${number(nonce)}, of about ${compact(expectedHashes(bits))} to try`;
  } catch (error) {
    return error.message;
  }
}
