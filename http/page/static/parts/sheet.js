// A view with a heading and a table that fits a page.

import { html } from "../core/ui.js";
import { curlOf, perdure } from "../core/commands.js";
import { CopyMenu } from "./copy.js";
import { Problem } from "./notices.js";

/**
 * @typedef {{title: string, cell: (item: any) => any, right?: boolean, hint?: string}} Column
 * @param {{columns: Column[], items: any[], keyOf: (item: any) => string, label: string}} props
 */
export function Sheet({ columns, items, keyOf, label }) {
  return html`<div class="sheet" tabindex="0" role="region" aria-label=${`${label}, scrollable`}><table class="rows">
    <thead><tr>${columns.map((each) => html`<th key=${each.title} class=${each.right ? "right" : ""} title=${each.hint}>${each.title}</th>`)}</tr></thead>
    <tbody>${items.map((item) => html`<tr key=${keyOf(item)}>${columns.map((each) => html`<td key=${each.title} class=${each.right ? "right" : ""}>${each.cell(item)}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}

/** @param {{title: string, says?: any, asked: import("../core/asked.js").Asked, children: () => any, actions?: any, command?: string[]}} props
 *   command: the `perdure` command that shows the same data
 */
export function View({ title, says, asked, children, actions, command }) {
  return html`<header class="head"><h1>${title}</h1><span class="space"></span>${actions ?? null}
      <${CopyMenu} commands=${[...(command ? [{ tool: "perdure", text: perdure(...command) }] : []), { tool: "curl", text: curlOf(asked.raw) }]} raw=${asked.raw} /></header>
    ${says ? html`<p class="quiet says">${says}</p>` : null}
    <${Problem} error=${asked.error} again=${asked.again} />
    ${asked.data ? children() : asked.error ? null : html`<p class="quiet" aria-busy="true">Loading…</p>`}`;
}

/** @param {{title: string, children: any}} props */
export function Empty({ title, children }) {
  return html`<div class="nothing"><p><b>${title}</b></p><p class="quiet">${children}</p></div>`;
}
