// The filter of the list of instances, in four forms: the page's address, the query of the API, the body of a bulk
// action, and the flags of a command.

import { clockMs } from "../../core/clock.js";

/** Names in the page's address that are passed to the API unchanged. */
const AS_THEY_ARE = ["status", "name", "id_prefix", "parent", "stuck_for"];

/** Choices of `since`, in milliseconds. */
export const SINCE = /** @type {Record<string, number>} */ ({ "15m": 900e3, "1h": 3600e3, "24h": 86400e3, "7d": 604800e3 });
export const STUCK = ["1m", "15m", "1h", "1d"];

/**
 * Convert the filter of an address to a query of the API. Children are left out unless the address has `children`.
 * @param {URLSearchParams} query
 * @returns {Record<string, string>}
 */
export function filterOf(query) {
  /** @type {Record<string, string>} */
  const made = {};
  for (const [name, value] of query) if (AS_THEY_ARE.includes(name) || name.startsWith("tag.")) made[name] = value;
  const since = SINCE[query.get("since") ?? ""];
  // Rounded to the minute, so that a repeated request within the minute has the same query.
  if (since) made["created_after"] = new Date(Math.floor((clockMs() - since) / 60e3) * 60e3).toISOString();
  if (!query.has("children") && !query.has("parent")) made["root"] = "true";
  return made;
}

/**
 * Convert a query of the API to the filter of a bulk action.
 * @param {Record<string, string>} filter
 */
export function bodyOf(filter) {
  /** @type {Record<string, any>} */
  const made = {};
  for (const [name, value] of Object.entries(filter)) {
    if (name === "status" || name === "name") made[name] = value.split(",");
    else if (name === "root") made[name] = value === "true";
    else if (name.startsWith("tag.")) made["tags"] = { ...made["tags"], [name.slice(4)]: value };
    else made[name] = value;
  }
  return made;
}

/**
 * Convert a query of the API to flags of `perdure`.
 * @param {Record<string, string>} filter
 */
export function flagsOf(filter) {
  return Object.entries(filter).flatMap(([name, value]) => {
    if (name === "root") return ["--root"];
    if (name.startsWith("tag.")) return ["--tag", `${name.slice(4)}=${value}`];
    return [`--${name.replaceAll("_", "-")}`, value];
  });
}

/** A list of values that may be negated: `!failed,stalled`. */
export class Values {
  /** @param {string | null} text */
  constructor(text) {
    this.not = text?.startsWith("!") ?? false;
    this.all = (this.not ? text?.slice(1) : text)?.split(",").filter(Boolean) ?? [];
  }

  /** @param {string} value */
  has(value) {
    return this.all.includes(value);
  }

  /** @param {string} value */
  turned(value) {
    return this.has(value) ? this.all.filter((each) => each !== value) : [...this.all, value];
  }

  /**
   * @param {string[]} all
   * @param {boolean} not
   */
  static written(all, not) {
    return all.length ? `${not ? "!" : ""}${all.join(",")}` : null;
  }
}
