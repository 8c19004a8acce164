// A failure: the type and the message of the error; its traceback is folded.

import { html } from "../../core/ui.js";
import { CopyButton } from "../../parts/copy.js";
import { Icon } from "../../parts/icons.js";

/** @param {{type: string, message: string, traceback: string | null, open?: boolean}} props */
export function Failure({ type, message, traceback, open = false }) {
  return html`<div class="failure">
    <p><b>${type}</b>${message ? html`: <span>${message}</span>` : null}</p>
    ${traceback ? html`<details open=${open}><summary>Traceback</summary>
      <div class="raw"><${CopyButton} text=${traceback} label="Copy the traceback" /><pre class="text" tabindex="0">${traceback}</pre></div></details>` : null}
  </div>`;
}

/**
 * The reason why an instance has failed: the failed step, and below it the workflow's own error, folded.
 * @param {{failure: any, show: ((eventId: number) => void) | null}} props show: go to the step
 */
export function WhyFailed({ failure, show }) {
  const step = failure.activity ?? failure.child;
  const causes = [];
  for (let each = failure; each; each = each.cause) causes.push(each);
  const root = causes.at(-1);
  const rest = causes.slice(0, -1);
  return html`<section class="why bad" aria-label="Why it has failed">
    <h2><${Icon} name="failed" /><span>${step ? html`${failure.activity ? "Activity" : "Child"} <code>${step.name}</code> failed${step.attempt ? ` on attempt ${step.attempt}` : ""}` : "The workflow failed"}</span>
      ${step && failure.activity && show ? html`<button class="plain link" onClick=${() => show(step.id)}>show the step</button>` : null}</h2>
    <${Failure} type=${root.type} message=${root.message} traceback=${root.traceback} open=${true} />
    ${rest.length ? html`<details><summary>Raised in the workflow</summary>
      ${rest.map((each, index) => html`<${Failure} key=${index} type=${each.type} message=${each.message} traceback=${each.traceback} open=${true} />`)}</details>` : null}
  </section>`;
}

/** @param {{stall: any, release: () => void}} props */
export function WhyStalled({ stall, release }) {
  return html`<section class="why stuck" aria-label="Why it does not go on">
    <h2><${Icon} name="stalled" />${stall.kind === "SET_ASIDE" ? "It is set aside" : "It is stalled"}</h2>
    <p>${stall.reason}</p>
    ${stall.kind === "SET_ASIDE" ? html`<button onClick=${release}>Release …</button>` : null}
  </section>`;
}
