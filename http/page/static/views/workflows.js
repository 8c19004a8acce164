// The workflows: how many instances each has, and its figures of the last hour.

import { html } from "../core/ui.js";
import { useAsked } from "../core/asked.js";
import { to } from "../core/place.js";
import { number } from "../core/words.js";
import { Icon } from "../parts/icons.js";
import { Shares } from "../parts/share.js";
import { Empty, Sheet, View } from "../parts/sheet.js";

const LOOK_MS = 10_000;

/** @type {import("../parts/sheet.js").Column[]} */
const COLUMNS = [
  { title: "Workflow", cell: (each) => html`<a href=${to(["instances"], { name: each.name, children: "1" })}>${each.name}</a>${each.registered ? null : html` <small class="quiet" title="The app of this daemon does not have it; a worker may">not in the app</small>`}` },
  { title: "Instances", cell: (each) => html`<${Shares} counts=${each.counts} name=${each.name} />` },
  { title: "Started", hint: "In the last hour", right: true, cell: (each) => number(each.last_hour.started) },
  { title: "Completed", hint: "In the last hour", right: true, cell: (each) => number(each.last_hour.completed) },
  { title: "Failed", hint: "In the last hour", right: true, cell: (each) => html`<span class=${each.last_hour.failed ? "tone-bad" : ""}>${number(each.last_hour.failed)}</span>` },
  { title: "", cell: (each) => html`<a class="button small" href=${to(["start", each.name])} aria-label=${`Start ${each.name}`}><${Icon} name="start" />Start</a>` },
];

export function Workflows() {
  const asked = useAsked("/workflows", {}, { changes: true, everyMs: LOOK_MS });
  return html`<${View} title="Workflows" says="Starts, completions and failures are those of the last hour, or since the daemon began." asked=${asked}>${() =>
    asked.data.items.length
      ? html`<${Sheet} label="Workflows" columns=${COLUMNS} items=${asked.data.items} keyOf=${(/** @type {any} */ each) => each.name} />`
      : html`<${Empty} title="There are no workflows.">The daemon hosts no app, and no worker has connected.<//>`}<//>`;
}
