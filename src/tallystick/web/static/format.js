// Numbers, times and hashes as people read them.

const NUMBER = new Intl.NumberFormat("en");
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const DATE = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });

/** 1234567 as 1,234,567. Accepts BigInt. */
export function number(value) {
  return NUMBER.format(value);
}

/** 1234567 as 1.2M. */
export function compact(value) {
  return COMPACT.format(value);
}

/** One block, two blocks. */
export function counted(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** Some digits of a hash, more of them from its end: hashes of work begin with zeros. What differs in them differs; what
 * agrees may still differ between them. */
export function short(hash) {
  return typeof hash === "string" && hash.length > 14 ? `${hash.slice(0, 4)}…${hash.slice(-8)}` : String(hash);
}

/** A block's timestamp: seconds in a classic network, milliseconds in others. As a Date, or null where there is none. */
export function dated(block) {
  const isClassic = block.timestamp < 1e11;
  const date = new Date(isClassic ? block.timestamp * 1000 : block.timestamp);
  return Number.isNaN(date.getTime()) ? null : date;
}

/** A Date in words. */
export function when(date) {
  return date === null ? "at no known time" : DATE.format(date);
}

/** How long ago that was, roughly. */
export function ago(date, now = Date.now()) {
  if (date === null) return "";
  const seconds = Math.round((now - date.getTime()) / 1000);
  return seconds < -1 ? `in ${spell(-seconds)}` : seconds < 2 ? "just now" : `${spell(seconds)} ago`;
}

/** Seconds as the two greatest units that matter: "3 min 20 s", "4 days". */
export function spell(seconds) {
  if (!Number.isFinite(seconds)) return "longer than anybody can wait";
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  if (seconds < 86400 * 730) return counted(Math.round(seconds / 86400), "day");
  return `${compact(seconds / 31557600)} years`;
}

/** Bytes. */
export function bytes(count) {
  if (count === null) return "unknown";
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  while (count >= 1024 && power < units.length - 1) {
    count /= 1024;
    power += 1;
  }
  return `${power === 0 ? number(count) : count.toFixed(1)} ${units[power]}`;
}
