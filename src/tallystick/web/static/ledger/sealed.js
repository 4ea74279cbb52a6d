/*
 * Blocks of sealed networks: a header of fixed length, and the records it commits to (docs/format.md, "Blocks").
 *
 *     "TSB1" | index u64 | previous_hash 32 | timestamp_ms u64 | log_size u64 | log_root 32 | body_hash 32 | seal
 *
 * The hash of a block is the SHA-256 of its header. In a work network the seal is `bits u32 | nonce u64`, and it holds
 * when the hash, read as a number, is at most the target that `bits` stands for. A target is a number of 256 bits, so
 * it is a BigInt here.
 */

import { concat, fromHex, hex, joined, toNumber, u64, utf8 } from "./bytes.js";
import { sha256 } from "./hash.js";
import { member, shown } from "./shown.js";

const MAGIC = utf8("TSB1");
const HASH = /^[0-9a-f]{64}$/;
const SEAL = /^[0-9a-f]{24}$/;

/** Of a header, before the seal. */
export const FIXED_BYTES = 124;

/**
 * Is this a hash as the ledger writes it, 64 lower-case hex digits?
 * @param {unknown} value
 * @returns {boolean}
 */
export function isHash(value) {
  return typeof value === "string" && HASH.test(value);
}

// --- headers ----------------------------------------------------------------------------------------

/**
 * The header of a block of a work network, put together from its members. Throws an Error that names the one that has
 * not its form.
 * @param {object} block as the API shows it
 * @returns {Uint8Array} 136 bytes
 */
export function headerBytes(block) {
  return concat(
    MAGIC,
    u64(whole(block, "index")),
    hashIn(block, "previous_hash"),
    u64(whole(block, "timestamp")),
    u64(whole(block, "log_size")),
    hashIn(block, "log_root"),
    hashIn(block, "body_hash"),
    fromHex(sealIn(block)),
  );
}

/**
 * The hash of a block, from its members. Rejects with an Error when they make no header.
 * @param {object} block as the API shows it
 * @returns {Promise<string>} 64 hex digits
 */
export async function sealedHash(block) {
  return hex(await sha256(headerBytes(block)));
}

/**
 * The fields of a header, whose seal is as long as it is. Throws an Error for what is no header.
 * @param {Uint8Array} header
 * @returns {{index: number, previous_hash: string, timestamp: number, log_size: number, log_root: Uint8Array,
 *   body_hash: Uint8Array, seal: string}}
 */
export function readHeader(header) {
  if (header.length < FIXED_BYTES || hex(header.subarray(0, 4)) !== hex(MAGIC)) {
    throw new Error(`the header has ${header.length} bytes; at least ${FIXED_BYTES} that begin with TSB1 are expected`);
  }
  return {
    index: counted(header, 4, "index"),
    previous_hash: hex(header.subarray(12, 44)),
    timestamp: counted(header, 44, "timestamp"),
    log_size: counted(header, 52, "log_size"),
    log_root: header.slice(60, 92),
    body_hash: header.slice(92, 124),
    seal: hex(header.subarray(FIXED_BYTES)),
  };
}

/**
 * What a header says of its block's own records: the SHA-256 of their leaves, one after the other.
 * @param {Uint8Array[]} leaves
 * @returns {Promise<string>} 64 hex digits
 */
export async function bodyHash(leaves) {
  return hex(await sha256(joined(leaves)));
}

function whole(block, name) {
  const value = member(block, name);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new Error(`the ${name} is ${shown(value)}, not a whole number from 0 to 2^53 - 1`);
  }
  return value;
}

function hashIn(block, name) {
  const value = member(block, name);
  if (!isHash(value)) throw new Error(`the ${name} is ${shown(value)}, not 64 lower-case hex digits`);
  return fromHex(value);
}

function sealIn(block) {
  const value = member(block, "seal");
  if (typeof value !== "string" || !SEAL.test(value)) {
    throw new Error(`the seal is ${shown(value)}, not 24 lower-case hex digits`);
  }
  return value;
}

function counted(header, at, name) {
  const value = toNumber(header.subarray(at, at + 8));
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Error(`the ${name} ${value} is beyond 2^53 - 1`);
  return Number(value);
}

// --- work -------------------------------------------------------------------------------------------

/**
 * What the seal of a block says; null where there is none of this form, as in a block of the book.
 * @param {object} block
 * @returns {{bits: number, nonce: bigint} | null}
 */
export function sealOf(block) {
  const seal = member(block, "seal");
  if (typeof seal !== "string" || !SEAL.test(seal)) return null;
  return { bits: Number.parseInt(seal.slice(0, 8), 16), nonce: BigInt(`0x${seal.slice(8)}`) };
}

/**
 * The target that `bits` stand for (docs/format.md, "Targets"). Throws an Error for what `compact` would never write.
 * @param {number} bits
 * @returns {bigint} from 1 to 2^256 - 1
 */
export function expand(bits) {
  if (!Number.isInteger(bits) || bits < 0 || bits > 0xffffffff) throw new Error("bits are a number of 32 bits");
  const [size, mantissa] = [Math.floor(bits / 0x1000000), BigInt(bits % 0x1000000)];
  const written = bits.toString(16).padStart(8, "0");
  const target = shifted(mantissa, 8 * (size - 3)); // of at most 8 * 252 + 24 bits
  if (target < 1n || target >= 1n << 256n) throw new Error(`bits ${written} stand for no target of 1 to 2^256 - 1`);
  if (compact(target) !== bits) throw new Error(`bits ${written} are not the one way to write their target`);
  return target;
}

/**
 * The bits for a target, which round it down. Throws an Error when it is not from 1 to 2^256 - 1.
 * @param {bigint} target
 * @returns {number}
 */
export function compact(target) {
  if (target < 1n || target >= 1n << 256n) throw new Error("a target is a number from 1 to 2^256 - 1");
  let size = Math.ceil(target.toString(16).length / 2);
  let mantissa = shifted(target, -8 * (size - 3));
  if (mantissa & 0x800000n) {
    size += 1;
    mantissa >>= 8n;
  }
  return size * 0x1000000 + Number(mantissa);
}

/**
 * How many hashes it takes on average to find a block of these bits.
 * @param {number} bits
 * @returns {bigint}
 */
export function expectedHashes(bits) {
  return (1n << 256n) / (expand(bits) + 1n);
}

/**
 * Is this hash, read as a big-endian number, at most the target of these bits?
 * @param {string} hash 64 hex digits
 * @param {number} bits
 * @returns {boolean}
 */
export function meetsTarget(hash, bits) {
  return toNumber(fromHex(hash)) <= expand(bits);
}

function shifted(number, left) {
  return left >= 0 ? number << BigInt(left) : number >> BigInt(-left);
}
