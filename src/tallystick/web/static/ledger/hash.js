/*
 * SHA-256 (FIPS 180-4), by which everything in a ledger is named.
 *
 * A browser has one of its own, WebCrypto, which we take wherever it is offered: to pages that came over HTTPS or from
 * the same machine. A page that came over plain HTTP from another machine, as to a phone beside the node, has none (W3C
 * Secure Contexts), so there is a second one here, told in the order of the standard. Tests hold it against another.
 */

const subtle = globalThis.crypto?.subtle;

/** Who computes the hashes of this page. */
export const hashedBy = subtle ? "WebCrypto" : "JavaScript";

/** So many hashes are under way at a time: enough to keep the browser busy, few enough to hold their bytes. */
const AT_ONCE = 512;

/**
 * The SHA-256 of these bytes.
 * @param {Uint8Array} bytes
 * @returns {Promise<Uint8Array>} 32 bytes
 */
export async function sha256(bytes) {
  return subtle ? new Uint8Array(await subtle.digest("SHA-256", bytes)) : sha256Here(bytes);
}

/**
 * Something that takes hashing, done to each of many, some hundred at a time; the results in the same order.
 * @template T, R
 * @param {T[]} values
 * @param {(value: T, at: number) => Promise<R>} work
 * @returns {Promise<R[]>}
 */
export async function ofEach(values, work) {
  const results = [];
  for (let first = 0; first < values.length; first += AT_ONCE) {
    const some = values.slice(first, first + AT_ONCE).map((value, at) => work(value, first + at));
    results.push(...(await Promise.all(some)));
  }
  return results;
}

// --- the second one ---------------------------------------------------------------------------------

/** Section 4.2.2: of the cube roots of the first 64 primes, the first 32 bits behind the point. */
const K = new Uint32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
  0xc67178f2,
]);

/** Section 5.3.3: likewise of the square roots of the first 8 primes. */
const START = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/**
 * The SHA-256 of these bytes, computed here.
 * @param {Uint8Array} bytes
 * @returns {Uint8Array} 32 bytes
 */
export function sha256Here(bytes) {
  const blocks = padded(bytes);
  const state = Uint32Array.from(START);
  const schedule = new Uint32Array(64);
  for (let at = 0; at < blocks.byteLength; at += 64) takeIn(state, schedule, blocks, at);
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, at) => digest.setUint32(4 * at, word));
  return new Uint8Array(digest.buffer);
}

/** Section 5.1.1: a bit that is one, zeros, and the length in bits as a u64, up to a multiple of 64 bytes. */
function padded(bytes) {
  const whole = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  whole.set(bytes);
  whole[bytes.length] = 0x80;
  const view = new DataView(whole.buffer);
  view.setBigUint64(whole.length - 8, 8n * BigInt(bytes.length));
  return view;
}

const right = (word, bits) => (word >>> bits) | (word << (32 - bits));

/** Section 6.2.2: the block of 64 bytes that begins here goes into the state. */
function takeIn(state, w, blocks, start) {
  for (let t = 0; t < 16; t += 1) w[t] = blocks.getUint32(start + 4 * t);
  for (let t = 16; t < 64; t += 1) {
    const s0 = right(w[t - 15], 7) ^ right(w[t - 15], 18) ^ (w[t - 15] >>> 3);
    const s1 = right(w[t - 2], 17) ^ right(w[t - 2], 19) ^ (w[t - 2] >>> 10);
    w[t] = w[t - 16] + s0 + w[t - 7] + s1; // modulo 2^32, as the array's elements are
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let t = 0; t < 64; t += 1) {
    const choice = (e & f) ^ (~e & g);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const t1 = (h + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + choice + K[t] + w[t]) | 0;
    const t2 = ((right(a, 2) ^ right(a, 13) ^ right(a, 22)) + majority) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, at) => {
    state[at] += word;
  });
}
