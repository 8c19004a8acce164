// The details of a step: its attempts, its payloads, its events, and the actions that start from it.

import { html, useState } from "../../core/ui.js";
import { amend, to } from "../../core/place.js";
import { length, utc } from "../../core/words.js";
import { CopyButton } from "../../parts/copy.js";
import { Icon } from "../../parts/icons.js";
import { Payload } from "../../parts/payload.js";
import { ENDED } from "../../parts/status.js";
import { Failure } from "./failure.js";

/** @typedef {import("./steps.js").Step} Step */

const KINDS = { activity: "Activity", child: "Child", timer: "Timer", wait: "Awaited event", point: "" };

/**
 * @param {{step: Step, details: any, rerun: (fromEvent: number) => void, repair: (entry: any) => void}} props
 */
export function StepDetails({ step, details, rerun, repair }) {
  const open = details.waiting_for.find((/** @type {any} */ each) => each.event_id !== null && (each.event_id === step.id || (each.name === step.name && each.kind === step.kind && step.state === "open")));
  const events = [...new Set([step.event, ...step.attempts.flatMap((each) => [each.askedEvent, each.endEvent])])].filter((each) => each !== null);
  const last = step.attempts.at(-1);
  const input = last?.askedEvent ?? (step.kind === "point" ? step.event : null);
  const result = last?.endEvent ?? null;
  const first = step.attempts[0]?.id ?? step.id;
  return html`<aside class="step-details" id="step" tabindex="-1" aria-label=${`Step ${step.name}`}>
    <header><h3>${step.name}</h3><span class="space"></span><button class="plain" aria-label="Close" onClick=${() => amend({ step: null }, { replace: true })}><${Icon} name="close" /></button></header>
    <p class="quiet">${KINDS[step.kind]}${step.id >= 0 ? `${KINDS[step.kind] ? " · " : ""}event ${first}` : ""} · ${utc(step.from)}</p>
    ${step.childId ? html`<p><a href=${to(["instances", step.childId])}><code>${step.childId}</code></a></p>` : null}
    ${step.due && step.state === "open" ? html`<p>Due ${utc(step.due)}</p>` : null}
    <div class="buttons">
      ${open ? html`<button onClick=${() => repair(open)}><${Icon} name="event" />Give it an answer …</button>` : null}
      ${ENDED.has(details.status) && !details.parent && first >= 0 && step.kind !== "point" ? html`<button onClick=${() => rerun(first)}><${Icon} name="again" />Rerun from here …</button>` : null}
    </div>
    ${step.attempts.length > 1 || last?.failure ? html`<ol class="attempts" reversed>
      ${[...step.attempts].reverse().map((attempt) => html`<li key=${attempt.id}>
        <span class=${attempt.outcome === "failed" ? "tone-bad" : attempt.outcome ? "tone-good" : "tone-running"}>${attempt.outcome === "failed" ? "failed" : attempt.outcome ? "completed" : "under way"}</span>
        <span class="quiet"> ${attempt.began ? `queued ${length(Date.parse(attempt.began) - Date.parse(attempt.asked))}, ran ${length(Date.parse(attempt.ended ?? attempt.began) - Date.parse(attempt.began))}` : ""}</span>
        ${attempt.failure ? html`<${Failure} type=${attempt.failure.errorType} message=${attempt.failure.errorMessage} traceback=${attempt.failure.stackTrace ?? null} open=${attempt === last} />` : null}
      </li>`)}
    </ol>` : null}
    ${input?.["payloadBytes"] ? html`<${Payload} key=${`${input["key"]}i`} id=${details.id} eventKey=${input["key"]} part=${"executionCompleted" in input ? "result" : "input"} bytes=${input["payloadBytes"]} label=${step.kind === "point" ? "Payload" : "Input"} />` : null}
    ${step.kind === "wait" && step.event && "eventRaised" in step.event && step.event["payloadBytes"] ? html`<${Payload} key=${step.event["key"]} id=${details.id} eventKey=${step.event["key"]} part="input" bytes=${step.event["payloadBytes"]} label="Payload" />` : null}
    ${result?.["payloadBytes"] && last?.outcome === "done" ? html`<${Payload} key=${`${result["key"]}r`} id=${details.id} eventKey=${result["key"]} part="result" bytes=${result["payloadBytes"]} label="Result" />` : null}
    <${RawEvents} events=${events} />
  </aside>`;
}

/** @param {{events: any[]}} props */
function RawEvents({ events }) {
  const [shown, setShown] = useState(false);
  const text = () => JSON.stringify(events, null, 2);
  return html`<details onToggle=${(/** @type {any} */ event) => setShown(event.target.open)}>
    <summary>${events.length === 1 ? "Its event" : `Its ${events.length} events`}</summary>
    ${shown ? html`<div class="raw"><${CopyButton} text=${text} label="Copy the events" /><pre class="text" tabindex="0">${text()}</pre></div>` : null}
  </details>`;
}
