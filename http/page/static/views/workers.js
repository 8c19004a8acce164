// The remote workers that are connected.

import { html } from "../core/ui.js";
import { useAsked } from "../core/asked.js";
import { number } from "../core/words.js";
import { Moment } from "../parts/moments.js";
import { Empty, Sheet, View } from "../parts/sheet.js";

const LOOK_MS = 5000;

/** @type {import("../parts/sheet.js").Column[]} */
const COLUMNS = [
  { title: "Worker", cell: (each) => html`<code>${each.peer}</code>` },
  { title: "SDK", cell: (each) => each.version },
  { title: "Host", cell: (each) => each.host },
  { title: "Turns in hand", right: true, cell: (each) => number(each.turns) },
  { title: "Activities in hand", right: true, cell: (each) => number(each.activities) },
  { title: "Connected", cell: (each) => html`<${Moment} at=${each.connected} />` },
  { title: "Last seen", cell: (each) => html`<${Moment} at=${each.last_seen} />` },
];

export function Workers() {
  const asked = useAsked("/workers", {}, { everyMs: LOOK_MS });
  return html`<${View} title="Workers" says="Programs with one of Dapr's SDKs that take work over gRPC. The app of the daemon itself needs none." asked=${asked}>${() =>
    asked.data.items.length
      ? html`<${Sheet} label="Workers" columns=${COLUMNS} items=${asked.data.items} keyOf=${(/** @type {any} */ each) => `${each.host} ${each.peer} ${each.connected}`} />`
      : html`<${Empty} title="No remote worker is connected.">They connect to the gRPC port of this daemon.<//>`}<//>`;
}
