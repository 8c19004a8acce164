// The mark of Perdure.

import { html } from "../core/ui.js";

export function Mark() {
  return html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <rect width="32" height="32" rx="8" />
    <path d="M9 16a4 4 0 1 1 7 2.6l-1 1M23 16a4 4 0 1 1-7-2.6l1-1" />
  </svg>`;
}
