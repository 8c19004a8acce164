// An action on the instances that were selected, one after the other, with progress.

import { html, useRef, useState } from "../core/ui.js";
import { path, post, sentence } from "../core/api.js";
import { counted } from "../core/words.js";
import { Dialog } from "../parts/dialog.js";
import { Field, Tick } from "../parts/field.js";
import { ENDED } from "../parts/status.js";
import { ACTIONS, fits, reachesDown } from "./actions.js";
import { Progress } from "./progress.js";

const AT_ONCE = 4; // browsers open six connections to a host, and the stream uses one

/**
 * @param {{name: import("./actions.js").ActionName, items: any[], close: () => void, done: () => void}} props
 */
export function ActOnSeveral({ name, items, close, done }) {
  const action = ACTIONS[name];
  const fitting = items.filter((item) => fits(name, item.status));
  const [reason, setReason] = useState("");
  const [recurse, setRecurse] = useState(true);
  const [force, setForce] = useState(false);
  const [typed, setTyped] = useState("");
  const [state, setState] = useState({ begun: false, done: 0, failed: 0, errors: /** @type {{id: string, message: string}[]} */ ([]) });
  const stopped = useRef(false);
  const total = fitting.length;
  const finished = state.begun && state.done + state.failed >= total;
  const ready = total > 0 && (!action.final || typed === String(total));
  const unfinished = name === "purge" ? fitting.filter((item) => !ENDED.has(item.status)).length : 0;

  const begin = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!ready || state.begun) return;
    const todo = [...fitting];
    const progress = { begun: true, done: 0, failed: 0, errors: /** @type {{id: string, message: string}[]} */ ([]) };
    setState({ ...progress });
    const body = { ...(reason ? { reason } : {}), ...(reachesDown(name) && !recurse ? { recurse } : {}), ...(force ? { force } : {}) };
    const work = async () => {
      for (let item = todo.shift(); item && !stopped.current; item = todo.shift()) {
        try {
          await post(path("instances", item.id, name), { body });
          progress.done += 1;
        } catch (error) {
          progress.failed += 1;
          progress.errors.push({ id: item.id, message: sentence(error) });
        }
        setState({ ...progress });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  };
  const leave = () => {
    stopped.current = true;
    (state.begun ? done : close)();
  };
  return html`<${Dialog} title=${`${action.verb} ${counted(total, "instance")}`} close=${leave}>
    <form onSubmit=${begin}>
      ${total < items.length ? html`<p class="warning">${counted(items.length - total, "instance")} of the selected cannot be ${action.done} and are left out.</p>` : null}
      ${state.begun ? html`<${Progress} verb=${action.done} matches=${total} done=${state.done} failed=${state.failed} skipped=${0} errors=${state.errors} />` : html`
        <p>${action.says}</p>
        <${Field} label="Reason" hint="for the audit" value=${reason} set=${setReason} />
        ${reachesDown(name) ? html`<${Tick} label="Their descendants too" value=${recurse} set=${setRecurse} />` : null}
        ${unfinished ? html`<${Tick} label=${`Also the ${unfinished} that have not ended`} value=${force} set=${setForce} />` : null}
        ${action.final ? html`<${Field} label="Type the number to confirm" hint=${String(total)} value=${typed} set=${setTyped} mono=${true} />` : null}`}
      <footer>
        <button type="button" onClick=${leave}>${finished ? "Close" : state.begun ? "Stop" : "Cancel"}</button>
        ${state.begun ? null : html`<button type="submit" class=${action.final ? "danger" : "primary"} disabled=${!ready}>${action.verb} ${total}</button>`}
      </footer>
    </form>
  <//>`;
}
