// Counts by status, as one bar of shares with a link to each.

import { html } from "../core/ui.js";
import { to } from "../core/place.js";
import { number, statusWord } from "../core/words.js";
import { toneOf } from "./status.js";

/** @param {{counts: Record<string, number>, name?: string}} props name: of the workflow */
export function Shares({ counts, name }) {
  const entries = Object.entries(counts).filter(([, count]) => count);
  if (!entries.length) return html`<span class="quiet">none</span>`;
  return html`<span class="shares-of">
    <i class="shares" aria-hidden="true">${entries.map(([status, count]) => html`<i key=${status} class=${`fill-${toneOf(status)}`} style=${{ flexGrow: count }}></i>`)}</i>
    ${entries.map(([status, count]) => html`<a key=${status} class=${`tone-${toneOf(status)}`} href=${to(["instances"], { status: status.toLowerCase(), name: name ?? null })}><b>${number(count)}</b> ${statusWord(status).toLowerCase()}</a>`)}
  </span>`;
}
