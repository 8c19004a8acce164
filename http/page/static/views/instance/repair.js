// Sends an instance the event that it waits for, or a person's answer in place of an activity, a child or a timer.

import { html, useState } from "../../core/ui.js";
import { path, post } from "../../core/api.js";
import { curl, eventCommands, perdure } from "../../core/commands.js";
import { Commands } from "../../parts/copy.js";
import { Dialog } from "../../parts/dialog.js";
import { Choice, Field } from "../../parts/field.js";
import { notify, Problem } from "../../parts/notices.js";
import { waitingText } from "../../parts/waiting.js";

/** @type {Record<string, [string, string][]>} */
const CHOICES = {
  activity: [["retry", "Retry it now"], ["complete", "Complete it with a result"], ["fail", "Fail it"]],
  child: [["complete", "Complete it with a result"], ["fail", "Fail it"]],
  timer: [["fire", "Fire it now"]],
  event: [["send", "Send the event"], ["fire", "Let it time out"]],
  release: [["release", "Release it"]],
};

/** The choices for an entry. An activity that pauses before its next attempt can only begin the attempt. @param {any} entry */
function choicesFor(entry) {
  const all = CHOICES[entry.kind] ?? [];
  const pauses = entry.kind === "activity" && entry.state === "queued" && entry.due !== null && entry.attempt > 1;
  return all.filter(([name]) => (pauses ? name === "retry" : name !== "fire" || entry.event_id !== null));
}

/** Whether a person can answer an entry. @param {any} entry */
export const canAnswer = (entry) => entry.kind in CHOICES && (entry.event_id !== null || entry.kind === "release" || entry.kind === "event");

/** @param {{details: any, entry: any, close: () => void, done: () => void}} props entry: of `waiting_for` */
export function Repair({ details, entry, close, done }) {
  const choices = choicesFor(entry);
  const [action, setAction] = useState(choices[0]?.[0] ?? "");
  const [text, setText] = useState("");
  const [type, setType] = useState("");
  const [reason, setReason] = useState("");
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const withText = action === "send" || action === "complete";
  let result;
  let wrong = false;
  try {
    result = text ? JSON.parse(text) : undefined;
  } catch {
    wrong = withText;
  }
  const body = {
    action,
    ...(entry.event_id !== null && action !== "release" ? { event_id: entry.event_id } : {}),
    ...(action === "complete" && result !== undefined ? { result } : {}),
    ...(action === "fail" ? { failure: { type: type || "Error", message: text } } : {}),
    ...(reason ? { reason } : {}),
  };
  const flags = [
    ...("event_id" in body ? ["--event-id", String(entry.event_id)] : []),
    ...("result" in body ? ["--result", text] : []),
    ...("failure" in body ? ["--failure", text, "--failure-type", type || "Error"] : []),
    ...(reason ? ["--reason", reason] : []),
  ];
  const where = action === "send" ? path("instances", details.id, "events", entry.name) : path("instances", details.id, "repair");
  const call = action === "send" ? { text } : { body };
  const act = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      await post(where, { ...call, headers: { "If-Match": `"${details.first_execution_id}"` } });
      notify(`${details.id} has the answer that it waited for.`);
      done();
    } catch (failure) {
      setError(failure);
    }
  };
  return html`<${Dialog} title=${action === "release" ? `Release ${details.id}` : `Answer ${waitingText(entry)}`} close=${close}>
    <form onSubmit=${act}>
      ${choices.length > 1 ? html`<${Choice} label="What" value=${action} set=${setAction} options=${choices.map(([value, label]) => ({ value, text: label }))} />` : html`<p>${choices[0]?.[1]}</p>`}
      ${action === "fail" ? html`<${Field} label="Class of the error" hint="as the workflow sees it" value=${type} set=${setType} mono=${true} />
        <${Field} label="Message" value=${text} set=${setText} />` : null}
      ${withText ? html`<${Field} label=${action === "send" ? "Payload" : "Result"} hint="JSON" value=${text} set=${setText} lines=${5} mono=${true} />` : null}
      ${action === "send" ? null : html`<${Field} label="Reason" hint="for the audit" value=${reason} set=${setReason} />`}
      <${Problem} error=${error} />
      <${Commands} commands=${action === "send" ? eventCommands(details.id, entry.name, text) : [{ tool: "curl", text: curl("POST", where, call) }, { tool: "perdure", text: perdure("repair", details.id, action, ...flags) }]} />
      <footer>
        <button type="button" onClick=${close}>Cancel</button>
        <button type="submit" class="primary" disabled=${wrong}>${choices.find(([name]) => name === action)?.[1] ?? "Do it"}</button>
      </footer>
    </form>
  <//>`;
}

/** The dialog for an event that the instance does not wait for yet. @param {{details: any, close: () => void, done: () => void}} props */
export function SendEvent({ details, close, done }) {
  const [name, setName] = useState("");
  const [text, setText] = useState("");
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const where = path("instances", details.id, "events", name || "NAME");
  const act = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      await post(where, { text });
      notify(`The event ${name} was sent to ${details.id}.`);
      done();
    } catch (failure) {
      setError(failure);
    }
  };
  return html`<${Dialog} title=${`Send an event to ${details.id}`} close=${close}>
    <form onSubmit=${act}>
      <${Field} label="Name" value=${name} set=${setName} required=${true} />
      <${Field} label="Payload" hint="JSON" value=${text} set=${setText} lines=${5} mono=${true} />
      <${Problem} error=${error} />
      <${Commands} commands=${eventCommands(details.id, name || "NAME", text)} />
      <footer><button type="button" onClick=${close}>Cancel</button><button type="submit" class="primary" disabled=${!name}>Send</button></footer>
    </form>
  <//>`;
}
