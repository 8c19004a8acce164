// Bulk operations: the progress of each, and one operation with its errors.

import { html } from "../core/ui.js";
import { path, post, sentence } from "../core/api.js";
import { useAsked } from "../core/asked.js";
import { to } from "../core/place.js";
import { number, statusWord } from "../core/words.js";
import { ACTIONS } from "../acting/actions.js";
import { Progress } from "../acting/progress.js";
import { Length, Moment } from "../parts/moments.js";
import { notify } from "../parts/notices.js";
import { Empty, Sheet, View } from "../parts/sheet.js";

const LOOK_MS = 2000;

/** @type {Record<string, string>} */
const TONES = { RUNNING: "running", COMPLETED: "good", CANCELED: "quiet" };

/** @param {{state: string}} props */
const State = ({ state }) => html`<span class=${`tone-${TONES[state] ?? "quiet"}`}>${statusWord(state)}</span>`;

/** @type {import("../parts/sheet.js").Column[]} */
const COLUMNS = [
  { title: "Operation", cell: (each) => html`<a href=${to(["operations", each.id])}>${each.action}</a>` },
  { title: "State", cell: (each) => html`<${State} state=${each.state} />` },
  { title: "Done", cell: (each) => html`<span class="of-limit">${number(each.done + each.skipped)}<small class="quiet"> of ${number(each.matches)}</small><progress max=${Math.max(1, each.matches)} value=${each.done + each.failed + each.skipped} aria-label="Progress"></progress></span>` },
  { title: "Failed", right: true, cell: (each) => html`<span class=${each.failed ? "tone-bad" : ""}>${number(each.failed)}</span>` },
  { title: "Who", cell: (each) => each.actor },
  { title: "Reason", cell: (each) => each.reason ?? html`<span class="quiet">none given</span>` },
  { title: "Began", cell: (each) => html`<${Moment} at=${each.created} />` },
];

/** @param {{id: string | null}} props null: all operations */
export function Operations({ id }) {
  return id === null ? html`<${All} />` : html`<${One} key=${id} id=${id} />`;
}

function All() {
  const asked = useAsked("/operations", {}, { everyMs: LOOK_MS });
  return html`<${View} title="Operations" command=${["operations"]} asked=${asked} says="Actions on all instances that match a filter. The daemon continues them after a restart.">${() =>
    asked.data.items.length
      ? html`<${Sheet} label="Operations" columns=${COLUMNS} items=${asked.data.items} keyOf=${(/** @type {any} */ each) => each.id} />`
      : html`<${Empty} title="There have been no operations.">They begin in the <a href=${to(["instances"])}>list of instances</a>: filter it, then act on all that match.<//>`}<//>`;
}

/** @param {{id: string}} props */
function One({ id }) {
  const where = path("operations", id);
  const asked = useAsked(where, {}, { everyMs: LOOK_MS });
  const { data } = asked;
  const cancel = () => post(path("operations", id, "cancel"), { body: {} }).then(asked.again, (error) => notify(sentence(error), { bad: true }));
  return html`<nav class="crumbs" aria-label="Where this is"><a href=${to(["operations"])}>Operations</a></nav>
    <${View} title=${data ? statusWord(data.action) : "Operation"} command=${["operations", "show", id]} asked=${asked} actions=${data?.state === "RUNNING" ? html`<button onClick=${cancel}>Cancel the rest</button>` : null}>${() => html`
    <div class="card">
      <p class="facts"><${State} state=${data.state} /><span>by ${data.actor}</span><span>began <${Moment} at=${data.created} /></span><span>${data.ended ? "took" : "for"} <${Length} from=${data.created} until=${data.ended} /></span></p>
      ${data.reason ? html`<p>${data.reason}</p>` : null}
      <${Progress} verb=${ACTIONS[/** @type {keyof typeof ACTIONS} */ (data.action)]?.done ?? "done"} matches=${data.matches} done=${data.done} failed=${data.failed} skipped=${data.skipped} errors=${data.errors} />
    </div>`}<//>`;
}
