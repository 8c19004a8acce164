// The progress of an action on many instances.

import { html } from "../core/ui.js";
import { counted, number } from "../core/words.js";

/**
 * @param {{verb: string, matches: number, done: number, failed: number, skipped: number,
 *   errors: {id: string, message: string}[]}} props verb: the past participle of the action, such as "purged"
 */
export function Progress({ verb, matches, done, failed, skipped, errors }) {
  const gone = done + failed + skipped;
  return html`<div class="progress">
    <progress max=${Math.max(matches, gone, 1)} value=${gone} aria-label="Progress"></progress>
    <p>
      <b>${number(done)}</b> of ${number(Math.max(matches, gone))} ${verb}${skipped ? html`, ${number(skipped)} skipped` : null}
      ${failed ? html`, <span class="tone-bad">${number(failed)} failed</span>` : null}
    </p>
    ${errors.length ? html`<details open><summary>${counted(errors.length, "error")}</summary>
      <ul class="errors">${errors.slice(0, 100).map((each) => html`<li key=${each.id}><code>${each.id}</code> ${each.message}</li>`)}</ul>
    </details>` : null}
  </div>`;
}
