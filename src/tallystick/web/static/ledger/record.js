/*
 * A record: one piece of data that somebody posted, and the entry that the log holds of it (docs/format.md, "Records").
 *
 *     commit  base64url( SHA-256( salt || data ) ), where data is in its canonical form
 *     entry   {"commit":"<commit>","id":"<id>"}, exactly these bytes
 *     leaf    SHA-256( 00 || entry )
 *
 * The log commits to the entry, and the entry to a salted hash. So data and salt can be erased together, every proof
 * still holds, and nobody can guess what is gone.
 */

import { base64url, concat, fromBase64url, utf8 } from "./bytes.js";
import { canonical } from "./canonical.js";
import { sha256 } from "./hash.js";
import { leafHash } from "./log.js";
import { member, shown } from "./shown.js";

export const SALT_BYTES = 16;

const ID = /^[A-Za-z0-9._:-]{1,128}$/;
const ENTRY = /^\{"commit":"([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])","id":"([A-Za-z0-9._:-]{1,128})"\}$/;
const COMMIT = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/; // 32 bytes leave two bits of the last character unused
const SALT = /^[A-Za-z0-9_-]{21}[AQgw]$/; // 16 bytes leave four

/**
 * The entry of a record: the one way to write it. Throws an Error when its id or its commit has another form.
 * @param {object} record with `id` and `commit`
 * @returns {string}
 */
export function entryOf(record) {
  const [id, commit] = [member(record, "id"), member(record, "commit")];
  if (typeof id !== "string" || !ID.test(id)) {
    throw new Error(`the id ${shown(id)} is not 1 to 128 of letters, digits and . _ : -`);
  }
  if (typeof commit !== "string" || !COMMIT.test(commit)) {
    throw new Error(`the commit ${shown(commit)} is not 43 characters of base64url`);
  }
  return `{"commit":"${commit}","id":"${id}"}`;
}

/**
 * Id and commit of an entry. Throws an Error for what is no entry.
 * @param {unknown} entry
 * @returns {{id: string, commit: string}}
 */
export function readEntry(entry) {
  const parts = typeof entry === "string" ? ENTRY.exec(entry) : null;
  if (!parts) throw new Error(`the entry ${shown(entry)} is no canonical object of commit and id`);
  return { id: parts[2], commit: parts[1] };
}

/**
 * The leaf of a record. Rejects with an Error when it has no entry.
 * @param {object} record
 * @returns {Promise<Uint8Array>}
 */
export async function leafOf(record) {
  return leafHash(utf8(entryOf(record)));
}

/**
 * The salted hash of data. Rejects with an Error when the salt has another form, or the data no canonical one.
 * @param {unknown} salt 22 characters of base64url
 * @param {unknown} data any JSON value
 * @returns {Promise<string>} 43 characters of base64url
 */
export async function commitment(salt, data) {
  return base64url(await sha256(concat(readSalt(salt), utf8(canonical(data)))));
}

/**
 * The bytes of a salt. Throws an Error for what is none.
 * @param {unknown} salt
 * @returns {Uint8Array}
 */
export function readSalt(salt) {
  if (typeof salt !== "string" || !SALT.test(salt)) {
    throw new Error(`the salt ${shown(salt)} is not 22 characters of base64url`);
  }
  return fromBase64url(salt);
}
