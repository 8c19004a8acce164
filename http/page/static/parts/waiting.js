// Describes in a few words the events that an instance waits for.

import { html } from "../core/ui.js";
import { now } from "../core/clock.js";
import { relative } from "../core/words.js";


const KINDS = new Set(["activity", "child", "timer", "event"]);

/** @param {any} waiting an entry of `waiting_for` */
export function waitingText(waiting) {
  const due = waiting.due ? relative(waiting.due, now.value) : null;
  switch (waiting.kind) {
    case "activity":
      if (waiting.state === "queued" && waiting.due) return `${waiting.name}: attempt ${waiting.attempt} ${due}`;
      return `${waiting.name}${waiting.state === "queued" ? ", queued" : ""}${waiting.attempt > 1 ? `, attempt ${waiting.attempt}` : ""}`;
    case "child":
      return `child ${waiting.child_id ?? waiting.name}`;
    case "timer":
      return `timer ${due ?? ""}`;
    case "event":
      return `event ${waiting.name}`;
    case "start":
      return `its start ${due ?? ""}`;
    case "worker":
      return "a worker";
    case "code":
      return "its code";
    case "resume":
      return "to be resumed";
    case "release":
      return "to be released";
    default:
      return waiting.kind;
  }
}

/** @param {{item: any}} props an item of a list */
export function Waits({ item }) {
  const all = item.waiting_for ?? [];
  const first = all[0];
  if (!first) return item.custom_status ? html`<span class="quiet" title="Its custom status">${item.custom_status}</span>` : null;
  const marked = KINDS.has(first.kind);
  return html`<span class="waits" title=${all.map(waitingText).join("\n")}>
    ${marked ? html`<i class=${`kind kind-${first.kind}`}></i>` : null}<span>${waitingText(first)}</span>${all.length > 1 ? html`<b>+${all.length - 1}</b>` : null}
  </span>`;
}
