// Notices: short sentences about finished actions, which disappear by themselves; and errors, which stay at their
// place.

import { html, signal } from "../core/ui.js";
import { answers, ApiError, sentence } from "../core/api.js";
import { Icon } from "./icons.js";

const STAYS_MS = 6000;

/** @typedef {{id: number, text: string, bad: boolean, link: {href: string, text: string} | null}} Notice */
const notices = signal(/** @type {Notice[]} */ ([]));
let last = 0;

/**
 * @param {string} text
 * @param {{bad?: boolean, link?: {href: string, text: string} | null}} [how]
 */
export function notify(text, { bad = false, link = null } = {}) {
  const id = ++last;
  notices.value = [...notices.value.slice(-3), { id, text, bad, link }];
  setTimeout(() => dismiss(id), bad ? STAYS_MS * 2 : STAYS_MS);
}

/** @param {number} id */
const dismiss = (id) => {
  notices.value = notices.value.filter((each) => each.id !== id);
};

export function Notices() {
  return html`<div class="notices" role="status" aria-live="polite">
    ${notices.value.map(
      ({ id, text, bad, link }) => html`<div key=${id} class=${bad ? "notice bad" : "notice"}>
        <span>${text}${link ? html` <a href=${link.href}>${link.text}</a>` : null}</span>
        <button class="plain" aria-label="Dismiss" onClick=${() => dismiss(id)}><${Icon} name="close" /></button>
      </div>`,
    )}
  </div>`;
}

/**
 * An error, shown at its place in the view.
 * @param {{error: unknown, again?: () => void}} props
 */
export function Problem({ error, again }) {
  // A bar above the view already says that the daemon does not answer.
  if (!error || (!answers.value && error instanceof ApiError && error.status === 0)) return null;
  return html`<div class="problem" role="alert">
    <${Icon} name="stalled" /><span>${sentence(error)}</span>
    ${again ? html`<button onClick=${again}>Try again</button>` : null}
  </div>`;
}
