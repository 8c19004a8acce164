// Formats times, lengths of time, sizes and numbers for people.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** @param {number} value */
export const number = (value) => value.toLocaleString("en-US").replaceAll(",", "\u2009");

/**
 * A word with its number.
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** @param {number | null | undefined} bytes */
export function size(bytes) {
  if (bytes == null) return "–";
  if (bytes < 1024) return `${bytes} B`;
  for (const [unit, factor] of /** @type {[string, number][]} */ ([["KB", 1], ["MB", 2], ["GB", 3], ["TB", 4]])) {
    const value = bytes / 1024 ** factor;
    if (value < 1024 || unit === "TB") return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
  }
  return "";
}

/**
 * A length of time: two units at most.
 * @param {number | null | undefined} ms
 */
export function length(ms) {
  if (ms == null || Number.isNaN(ms)) return "–";
  const value = Math.max(0, ms);
  if (value < 1) return value === 0 ? "0 ms" : `${value.toFixed(2)} ms`;
  if (value < SECOND) return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
  if (value < 10 * SECOND) return `${(value / SECOND).toFixed(1)} s`;
  if (value < MINUTE) return `${Math.floor(value / SECOND)} s`;
  if (value < HOUR) return two(value, MINUTE, "m", SECOND, "s");
  if (value < DAY) return two(value, HOUR, "h", MINUTE, "m");
  return two(value, DAY, "d", HOUR, "h");
}

/** @type {(ms: number, large: number, largeName: string, small: number, smallName: string) => string} */
function two(ms, large, largeName, small, smallName) {
  const rest = Math.floor((ms % large) / small);
  return `${Math.floor(ms / large)} ${largeName}${rest ? ` ${rest} ${smallName}` : ""}`;
}

/**
 * How long ago, or how soon.
 * @param {string} at RFC 3339
 * @param {number} nowMs
 */
export function relative(at, nowMs) {
  const ms = nowMs - Date.parse(at);
  if (Math.abs(ms) < 2 * SECOND) return "now";
  return ms > 0 ? `${coarse(ms)} ago` : `in ${coarse(-ms)}`;
}

/** @param {number} ms */
function coarse(ms) {
  if (ms < MINUTE) return `${Math.round(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} m`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h`;
  return `${Math.floor(ms / DAY)} d`;
}

/**
 * A moment in UTC, with its date.
 * @param {string} at
 */
export const utc = (at) => `${at.slice(0, 10)} ${at.slice(11, 23)} UTC`;

/**
 * The time of day of a moment, in UTC.
 * @param {string} at
 */
export const clockTime = (at) => at.slice(11, 23);

/** @param {number | null | undefined} share from 0 to 1 */
export const percent = (share) => (share == null ? "–" : `${share > 0 && share < 0.01 ? "<1" : Math.round(share * 100)} %`);

/**
 * Format a value as indented JSON; text that is no JSON is unchanged.
 * @param {string} text
 */
export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** @param {string} status Dapr's word in upper case */
export const statusWord = (status) => status.toLowerCase().replace(/_/g, " ").replace(/^./, (first) => first.toUpperCase());
