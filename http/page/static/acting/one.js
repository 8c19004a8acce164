// An action on one instance. The dialog asks for a reason and whether descendants are included; for a final action it
// also asks for the id.

import { html, useState } from "../core/ui.js";
import { path, post } from "../core/api.js";
import { actionCommands } from "../core/commands.js";
import { Commands } from "../parts/copy.js";
import { Dialog } from "../parts/dialog.js";
import { Field, Tick } from "../parts/field.js";
import { Icon } from "../parts/icons.js";
import { notify, Problem } from "../parts/notices.js";
import { ENDED } from "../parts/status.js";
import { ACTIONS, reachesDown } from "./actions.js";

/**
 * @param {{name: import("./actions.js").ActionName, item: any, close: () => void, done: (answer: any) => void}} props
 *   item: the instance, as an item of a list or a description
 */
export function ActOnOne({ name, item, close, done }) {
  const action = ACTIONS[name];
  const [reason, setReason] = useState("");
  const [recurse, setRecurse] = useState(true);
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const running = name === "purge" && !ENDED.has(item.status) && !["STALLED", "SET_ASIDE"].includes(item.status);
  const body = {
    ...(reason ? { reason } : {}),
    ...(reachesDown(name) && !recurse ? { recurse: false } : {}),
    ...(running ? { force: true } : {}),
  };
  const headers = item.first_execution_id ? { "If-Match": `"${item.first_execution_id}"` } : {};
  const ready = !busy && (!action.final || typed === item.id);
  const act = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!ready) return;
    setBusy(true);
    try {
      const answer = await post(path("instances", item.id, name), { body, headers });
      notify(answer.already ? `${item.id} was ${answer.already.toLowerCase()} already.` : `${item.id} was ${action.done}.`);
      done(answer);
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${`${action.verb} ${item.id}`} close=${close}>
    <form onSubmit=${act}>
      <p>${action.says}</p>
      ${running ? html`<p class="warning"><${Icon} name="stalled" />It has not ended. Its work under way is lost too.</p>` : null}
      <${Field} label="Reason" hint="for the audit" value=${reason} set=${setReason} />
      ${reachesDown(name) ? html`<${Tick} label="Its descendants too" value=${recurse} set=${setRecurse} />` : null}
      ${action.final ? html`<${Field} label="Type the id to confirm" hint=${item.id} value=${typed} set=${setTyped} mono=${true} />` : null}
      <${Problem} error=${error} />
      <${Commands} commands=${actionCommands(name, item.id, body)} />
      <footer>
        <button type="button" onClick=${close}>Cancel</button>
        <button type="submit" class=${action.final ? "danger" : "primary"} disabled=${!ready}>${action.verb}</button>
      </footer>
    </form>
  <//>`;
}
