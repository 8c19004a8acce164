// Moments and lengths of time, relative to now. The tooltip has the moment in UTC.

import { html } from "../core/ui.js";
import { now } from "../core/clock.js";
import { length, relative, utc } from "../core/words.js";

/** @param {{at: string | null | undefined}} props */
export function Moment({ at }) {
  if (!at) return html`<span class="quiet">–</span>`;
  return html`<time datetime=${at} title=${utc(at)}>${relative(at, now.value)}</time>`;
}

/**
 * The time between two moments; without the second, until now.
 * @param {{from: string, until: string | null | undefined}} props
 */
export function Length({ from, until }) {
  const ms = (until ? Date.parse(until) : now.value) - Date.parse(from);
  return html`<span class=${until ? "" : "grows"} title=${until ? utc(until) : "until now"}>${length(ms)}</span>`;
}
