// The activities: how many run and wait, how long they take, how often they fail.

import { classes, html } from "../core/ui.js";
import { useAsked } from "../core/asked.js";
import { length, number, percent } from "../core/words.js";
import { Moment } from "../parts/moments.js";
import { Empty, Sheet, View } from "../parts/sheet.js";

const LOOK_MS = 5000;
const SHARE_BAD = 0.05;

/** @type {import("../parts/sheet.js").Column[]} */
const COLUMNS = [
  { title: "Activity", cell: (each) => html`<b>${each.name}</b>${each.registered ? null : html` <small class="quiet" title="The app of this daemon does not have it; a worker may">not in the app</small>`}` },
  { title: "Running", hint: "Of the limit on a host", cell: (each) => html`<span class="of-limit">${number(each.running)}${each.limit ? html`<small class="quiet"> of ${number(each.limit)}</small><meter min="0" max=${each.limit} value=${each.running} aria-label=${`${each.running} of ${each.limit}`}></meter>` : null}</span>` },
  { title: "Waiting", hint: "For room, or for a worker", right: true, cell: (each) => html`<span class=${each.waiting ? "tone-held" : ""}>${number(each.waiting)}</span>` },
  { title: "Oldest began", cell: (each) => html`<${Moment} at=${each.oldest} />` },
  { title: "p50", right: true, cell: (each) => length(each.p50_ms) },
  { title: "p99", right: true, cell: (each) => length(each.p99_ms) },
  { title: "Failed", right: true, cell: (each) => html`<span class=${classes(each.failure_share > SHARE_BAD && "tone-bad")}>${percent(each.failure_share)}</span>` },
  { title: "Attempts", hint: "The number behind these figures", right: true, cell: (each) => number(each.attempts) },
];

export function Activities() {
  const asked = useAsked("/activities", {}, { everyMs: LOOK_MS });
  return html`<${View} title="Activities" says="Times and failures are of the newest 256 attempts of each host." asked=${asked}>${() =>
    asked.data.items.length
      ? html`<${Sheet} label="Activities" columns=${COLUMNS} items=${asked.data.items} keyOf=${(/** @type {any} */ each) => each.name} />`
      : html`<${Empty} title="No activity has run yet.">The daemon hosts no app, and no worker has asked for work.<//>`}<//>`;
}
