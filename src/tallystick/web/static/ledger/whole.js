/*
 * Everything that can be said of a block by somebody who can ask a node for more than the block and its parent. What the
 * node answers is not believed either: an answer that does not fit what was computed makes a check fail, or leaves it open.
 */

import { fromHex, hex } from "./bytes.js";
import { checkBlock, isSealed } from "./checks.js";
import { EMPTY, edgeBefore, extended, rootOfEdge } from "./frontier.js";
import { ofEach } from "./hash.js";
import { leafOf } from "./record.js";
import { isHash } from "./sealed.js";
import { member } from "./shown.js";
import { compares, fails, holds, judge, unknown } from "./verdict.js";

const LOG_RULE = "log-matches-records";

/**
 * All checks of a block.
 * @param {object} block
 * @param {object | null} parent null for the genesis block, and when it is not there
 * @param {{network: {id: string, kind: string}, ref: string, ask: (path: string) => Promise<any>}} with_ the network; by
 *   what the block was asked for; how a node is asked
 * @returns {Promise<import("./verdict.js").Check[]>}
 */
export async function blockChecks(block, parent, { network, ref, ask }) {
  const checks = [
    await judge("is-what-was-asked-for", () => checkAsked(block, network.kind, ref)),
    ...(await checkBlock(block, parent, { network: network.id })),
  ];
  const open = checks.findIndex((check) => check.rule === LOG_RULE && check.holds === null);
  if (open < 0 || !isSealed(block) || parent === null || block.orphaned) return checks;
  checks[open] = await judge(LOG_RULE, () => checkRoot(block, parent, ask));
  return checks;
}

/** A sound block in place of another one would be a lie too, and so would one of a kind that costs nothing. */
function checkAsked(block, kind, ref) {
  if (isSealed(block) !== (kind !== "classic")) return fails(`A block of a ${kind} network has another form.`);
  if (isHash(ref))
    return compares("The hash was compared with the one that was asked for.", ref, member(block, "hash"));
  if (/^[0-9]{1,15}$/.test(ref))
    return compares("The index was compared with the one that was asked for.", Number(ref), member(block, "index"));
  return holds("It has the form of a block of this network.");
}

/** What a node refuses to tell (`Problem`) is nothing that it told wrongly. */
function noRecords(error) {
  if (error.status === undefined) throw error;
  return { records: [] };
}

async function checkRoot(block, parent, ask) {
  const edge = await edgeOf(block, (path) => ask(path).catch(noRecords));
  if (edge === null)
    return unknown("The node has no proof of this block's first record, so its log cannot be followed.");
  const before = hex(await rootOfEdge(edge));
  if (before !== parent.log_root) {
    return compares(
      "The node's proof has to lead from the log as of the parent. This is its root.",
      parent.log_root,
      before,
    );
  }
  const after = hex(await rootOfEdge(await extended(edge, await ofEach(block.records, leafOf))));
  return compares(
    "The records were appended to the log as of the parent, and its root computed.",
    after,
    block.log_root,
  );
}

/**
 * The right edge of the log before a block, or null when the node does not show it. It is true if its root is the log_root of
 * the block's parent.
 * @param {object} block with records, or the first of its chain
 * @param {(path: string) => Promise<any>} ask
 */
export async function edgeOf(block, ask) {
  const first = block.records[0];
  if (first === undefined) return null;
  if (block.log_size === block.records.length) return EMPTY;
  const { records } = await ask(`/records/${encodeURIComponent(first.id)}?block=${block.hash}`);
  const proof = records.find((record) => record.commit === first.commit)?.proof;
  if (!proof || proof.position !== block.log_size - block.records.length) return null;
  return edgeBefore(proof.position, block.log_size, proof.path.map(fromHex));
}
