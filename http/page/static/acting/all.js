// An action on all instances that a filter matches: first the number, then a bulk operation with its progress.

import { html, useEffect, useState } from "../core/ui.js";
import { path, post } from "../core/api.js";
import { useAsked } from "../core/asked.js";
import { curl, perdure } from "../core/commands.js";
import { to } from "../core/place.js";
import { counted, number } from "../core/words.js";
import { Commands } from "../parts/copy.js";
import { Dialog } from "../parts/dialog.js";
import { Field, Tick } from "../parts/field.js";
import { Problem } from "../parts/notices.js";
import { Status } from "../parts/status.js";
import { ACTIONS, reachesDown } from "./actions.js";
import { Progress } from "./progress.js";

const LOOK_MS = 500;

/**
 * @param {{name: import("./actions.js").ActionName, filter: Record<string, any>, flags: string[], close: () => void,
 *   done: () => void}} props filter: the filter for the body of a bulk action; flags: the same for `perdure`
 */
export function ActOnAll({ name, filter, flags, close, done }) {
  const action = ACTIONS[name];
  const [recurse, setRecurse] = useState(true);
  const [force, setForce] = useState(false);
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const [plan, setPlan] = useState(/** @type {any} */ (null));
  const [operation, setOperation] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const options = { ...(reachesDown(name) && !recurse ? { recurse: false } : {}), ...(force ? { force: true } : {}) };
  const where = path("bulk", name);

  useEffect(() => {
    if (operation) return;
    setPlan(null);
    setError(null);
    post(where, { body: { filter, dry_run: true, ...options } }).then(setPlan, setError);
  }, [recurse, force]);

  const begin = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      setOperation(await post(where, { body: { plan: plan.plan, ...(reason ? { reason } : {}) } }));
    } catch (failure) {
      setError(failure);
    }
  };
  if (operation) return html`<${UnderWay} action=${action} begun=${operation} close=${done} />`;
  const ready = plan && plan.matches > 0 && (!action.final || typed === String(plan.matches));
  return html`<${Dialog} title=${`${action.verb} all that match`} close=${close}>
    <form onSubmit=${begin}>
      ${plan ? html`<p class="large"><b>${number(plan.matches)}${plan.more ? "+" : ""}</b> ${plan.matches === 1 ? "instance matches" : "instances match"}.</p>
        <ul class="sample" aria-label="Some of them">
          ${plan.sample.slice(0, 5).map((/** @type {any} */ item) => html`<li key=${item.id}><${Status} status=${item.status} /><code>${item.id}</code></li>`)}
          ${plan.matches > 5 ? html`<li class="quiet">and ${number(plan.matches - 5)} more</li>` : null}
        </ul>` : html`<p class="large quiet" aria-busy=${!error}>Counting…</p>`}
      <p>${action.says} Instances that begin after this moment are not included.</p>
      <${Field} label="Reason" hint="for the audit" value=${reason} set=${setReason} />
      ${reachesDown(name) ? html`<${Tick} label="Their descendants too" value=${recurse} set=${setRecurse} />` : null}
      ${name === "purge" ? html`<${Tick} label="Also instances that have not ended" value=${force} set=${setForce} />` : null}
      ${action.final && plan ? html`<${Field} label="Type the number to confirm" hint=${String(plan.matches)} value=${typed} set=${setTyped} mono=${true} />` : null}
      <${Problem} error=${error} />
      <${Commands} commands=${[
        { tool: "perdure", text: perdure(name, "--all-matching", ...flags) },
        { tool: "curl", text: curl("POST", where, { body: { filter, dry_run: true, ...options } }) },
      ]} />
      <footer>
        <button type="button" onClick=${close}>Cancel</button>
        <button type="submit" class=${action.final ? "danger" : "primary"} disabled=${!ready}>${action.verb} ${plan ? counted(plan.matches, "instance") : ""}</button>
      </footer>
    </form>
  <//>`;
}

/** @param {{action: import("./actions.js").Action, begun: any, close: () => void}} props */
function UnderWay({ action, begun, close }) {
  const { data } = useAsked(path("operations", begun.id), {}, { everyMs: LOOK_MS });
  const state = data ?? begun;
  const over = state.state !== "RUNNING";
  return html`<${Dialog} title=${over ? `${action.verb}: ${state.state.toLowerCase()}` : `${action.verb}: under way`} close=${close}>
    <${Progress} verb=${action.done} matches=${state.matches} done=${state.done} failed=${state.failed} skipped=${state.skipped} errors=${state.errors ?? []} />
    <p class="quiet">The daemon continues it when this page is closed, and after a restart. <a href=${to(["operations", begun.id])}>Show the operation</a>.</p>
    <footer>
      ${over ? null : html`<button onClick=${() => post(path("operations", begun.id, "cancel"), { body: {} })}>Cancel the rest</button>`}
      <button class="primary" onClick=${close}>${over ? "Close" : "Leave it running"}</button>
    </footer>
  <//>`;
}
