// Fields of forms.

import { html } from "../core/ui.js";

/**
 * A line, or several, of text.
 * @param {{label: string, value: string, set: (value: string) => void, hint?: string, lines?: number, type?: string,
 *   list?: string, required?: boolean, mono?: boolean}} props
 */
export function Field({ label, value, set, hint, lines = 1, type = "text", list, required = false, mono = false }) {
  const input = (/** @type {Event} */ event) => set(/** @type {HTMLInputElement} */ (event.target).value);
  const common = { value, onInput: input, required, class: mono ? "mono" : "", spellcheck: false };
  return html`<label class="field">
    <span>${label}${hint ? html` <small>${hint}</small>` : null}</span>
    ${lines > 1 ? html`<textarea rows=${lines} ...${common}></textarea>` : html`<input type=${type} list=${list} autocomplete="off" ...${common} />`}
  </label>`;
}

/** @param {{label: string, value: boolean, set: (value: boolean) => void}} props */
export function Tick({ label, value, set }) {
  return html`<label class="tick">
    <input type="checkbox" checked=${value} onChange=${(/** @type {Event} */ event) => set(/** @type {HTMLInputElement} */ (event.target).checked)} />
    <span>${label}</span>
  </label>`;
}

/** @param {{label: string, value: string, set: (value: string) => void, options: {value: string, text: string}[]}} props */
export function Choice({ label, value, set, options }) {
  return html`<label class="field">
    <span>${label}</span>
    <select value=${value} onChange=${(/** @type {Event} */ event) => set(/** @type {HTMLSelectElement} */ (event.target).value)}>
      ${options.map((each) => html`<option key=${each.value} value=${each.value} selected=${each.value === value}>${each.text}</option>`)}
    </select>
  </label>`;
}
