// The input and the result of an instance, each fetched when it is opened.

import { html, useEffect, useState } from "../../core/ui.js";
import { get, path } from "../../core/api.js";
import { size } from "../../core/words.js";
import { Payload } from "../../parts/payload.js";
import { Problem } from "../../parts/notices.js";

const FIRST = 8; // the input is in one of the first events

/** @typedef {import("./events.js").HistoryEvent} HistoryEvent */

/** @param {{details: any, events: HistoryEvent[], complete: boolean}} props events: the newest first */
export function InAndOut({ details, events, complete }) {
  if (!details.input_bytes && !details.output_bytes) return null;
  return html`<div class="in-and-out">
    ${details.input_bytes ? html`<${Part} key="in" label="Input" part="input" bytes=${details.input_bytes} id=${details.id} find=${() => findInput(details.id, events, complete)} known=${0} />` : null}
    ${details.output_bytes ? html`<${Part} key="out" label="Result" part="result" bytes=${details.output_bytes} id=${details.id} find=${async () => events.find((each) => "executionCompleted" in each)?.["key"] ?? null} known=${events.length} />` : null}
  </div>`;
}

/** @type {(id: string, events: HistoryEvent[], complete: boolean) => Promise<string | null>} */
async function findInput(id, events, complete) {
  const found = complete ? events.slice(-FIRST) : (await get(path("instances", id, "history"), { limit: FIRST, payloads: "none" })).items;
  return found.find((/** @type {HistoryEvent} */ each) => "executionStarted" in each)?.["key"] ?? null;
}

/** @param {{label: string, part: "input" | "result", bytes: number, id: string, find: () => Promise<string | null>,
 *   known: number}} props known: the number of events to search */
function Part({ label, part, bytes, id, find, known }) {
  const [key, setKey] = useState(/** @type {string | null} */ (null));
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const [open, setOpen] = useState(false);
  useEffect(() => {
    if (open && key === null) find().then(setKey, setError);
  }, [open, known]);
  return html`<details class="part" onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}>
    <summary>${label} <small>${size(bytes)}</small></summary>
    <${Problem} error=${error} />
    ${key ? html`<${Payload} id=${id} eventKey=${key} part=${part} bytes=${bytes} label=${label} />` : null}
  </details>`;
}
