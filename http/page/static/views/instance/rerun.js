// The dialog that runs an instance again, from its beginning or from an event, with lists of kept and repeated steps.

import { html, useEffect, useState } from "../../core/ui.js";
import { path, post } from "../../core/api.js";
import { actionCommands } from "../../core/commands.js";
import { go, to } from "../../core/place.js";
import { counted } from "../../core/words.js";
import { Commands } from "../../parts/copy.js";
import { Dialog } from "../../parts/dialog.js";
import { Field, Tick } from "../../parts/field.js";
import { notify, Problem } from "../../parts/notices.js";

const SHOWN = 200; // steps of each list

/** @param {{details: any, fromEvent: number | null, close: () => void}} props fromEvent: null: from its beginning */
export function Rerun({ details, fromEvent, close }) {
  const [preview, setPreview] = useState(/** @type {any} */ (null));
  const [newId, setNewId] = useState("");
  const [reason, setReason] = useState("");
  const [other, setOther] = useState(false);
  const [input, setInput] = useState("");
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const where = path("instances", details.id, "rerun");
  const base = fromEvent === null ? {} : { from_event: fromEvent };
  useEffect(() => {
    post(where, { body: { ...base, dry_run: true } }).then(setPreview, setError);
  }, []);
  let given = {};
  let wrong = "";
  if (other) {
    try {
      given = { input: JSON.parse(input) };
    } catch (failure) {
      wrong = "The input is not JSON yet.";
    }
  }
  const body = { ...base, ...(newId ? { id: newId } : {}), ...(reason ? { reason } : {}), ...given };
  const begin = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      const made = await post(where, { body, headers: { "If-Match": `"${details.first_execution_id}"` } });
      notify(`${details.id} runs again as ${made.id}.`);
      close();
      go(to(["instances", made.id]));
    } catch (failure) {
      setError(failure);
    }
  };
  return html`<${Dialog} title=${fromEvent === null ? `Rerun ${details.id}` : `Rerun ${details.id} from event ${fromEvent}`} close=${close} wide=${true}>
    <form onSubmit=${begin}>
      <p>A new instance runs. This one does not change.</p>
      ${preview ? html`<div class="preview">
        <${StepsOf} title="Kept" says="with their answers" steps=${preview.kept} />
        <${StepsOf} title="Done again" says="if the code decides the same" steps=${preview.repeated} />
      </div>` : error ? null : html`<p class="quiet" aria-busy="true">…</p>`}
      <${Field} label="Reason" hint="for the audit" value=${reason} set=${setReason} />
      <${Field} label="Id of the new instance" hint="a new one if it is empty" value=${newId} set=${setNewId} mono=${true} />
      <${Tick} label=${fromEvent === null ? "Another input" : "Another input for that event"} value=${other} set=${setOther} />
      ${other ? html`<${Field} label="Input" hint="JSON" value=${input} set=${setInput} lines=${5} mono=${true} />` : null}
      ${wrong && input ? html`<p class="quiet">${wrong}</p>` : null}
      <${Problem} error=${error} />
      <${Commands} commands=${actionCommands("rerun", details.id, body).slice(0, 1)} />
      <footer>
        <button type="button" onClick=${close}>Cancel</button>
        <button type="submit" class="primary" disabled=${!preview || wrong !== ""}>Rerun</button>
      </footer>
    </form>
  <//>`;
}

/** @param {{title: string, says: string, steps: any[]}} props */
function StepsOf({ title, says, steps }) {
  return html`<section aria-label=${title}>
    <h3>${title} <span class="quiet">${counted(steps.length, "step")}</span></h3>
    <p class="quiet small">${steps.length ? says : "none"}</p>
    <ol>${steps.slice(0, SHOWN).map((step) => html`<li key=${step.event_id}><code>${step.event_id}</code> ${step.kind} ${step.kind === "timer" ? "" : step.name ?? ""}</li>`)}</ol>
    ${steps.length > SHOWN ? html`<p class="quiet">and ${steps.length - SHOWN} more</p>` : null}
  </section>`;
}
