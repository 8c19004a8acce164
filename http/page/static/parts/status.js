// The status of an instance: a word, a sign and a colour. The colour is never the only mark.

import { html } from "../core/ui.js";
import { statusWord } from "../core/words.js";
import { Icon } from "./icons.js";

/** Status -> its sign and its tone (the name of a colour in styles.css). */
export const STATUSES = /** @type {Record<string, {icon: string, tone: string}>} */ ({
  RUNNING: { icon: "running", tone: "running" },
  PENDING: { icon: "pending", tone: "pending" },
  COMPLETED: { icon: "completed", tone: "good" },
  FAILED: { icon: "failed", tone: "bad" },
  SUSPENDED: { icon: "suspended", tone: "held" },
  STALLED: { icon: "stalled", tone: "stuck" },
  SET_ASIDE: { icon: "aside", tone: "aside" },
  TERMINATED: { icon: "terminated", tone: "quiet" },
  CANCELED: { icon: "terminated", tone: "quiet" },
  CONTINUED_AS_NEW: { icon: "again", tone: "quiet" },
});

const UNKNOWN = { icon: "more", tone: "quiet" };

/** The statuses of instances that have ended. */
export const ENDED = new Set(["COMPLETED", "FAILED", "TERMINATED", "CANCELED"]);

/** @param {string} status */
export const toneOf = (status) => (STATUSES[status] ?? UNKNOWN).tone;

/** @param {{status: string, count?: string}} props */
export function Status({ status, count }) {
  const { icon, tone } = STATUSES[status] ?? UNKNOWN;
  return html`<span class=${`status tone-${tone}`}>
    <${Icon} name=${icon} /><span>${statusWord(status)}</span>${count ? html`<b>${count}</b>` : null}
  </span>`;
}
