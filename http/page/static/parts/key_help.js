// The list of keys, each with its action.

import { html, signal } from "../core/ui.js";
import { Dialog } from "./dialog.js";

export const keyHelp = signal(false);

/** @type {[string, [string, string][]][]} */
const HELP = [
  ["Everywhere", [["/", "search instances"], ["n", "start a workflow"], ["g o", "overview"], ["g i", "instances"], ["g w", "workflows"], ["g a", "activities"], ["g p", "operations"], ["g u", "audit"], ["g k", "workers"], ["g h", "hosts"], ["g s", "store"], ["?", "these keys"]]],
  ["Instances", [["j  k", "next, previous"], ["Enter", "open"], ["x", "select"], ["X", "select all that are loaded"], ["Esc", "select none"]]],
  ["An instance", [["j  k", "next, previous step"], ["Enter", "show the step"], ["u", "back to the list"], ["1 … 4", "timeline, events, tree, raw"]]],
];

export function KeyHelp() {
  if (!keyHelp.value) return null;
  return html`<${Dialog} title="Keys" close=${() => (keyHelp.value = false)} wide=${true}>
    <div class="keys">
      ${HELP.map(
        ([title, keys]) => html`<section key=${title}><h3>${title}</h3>
          <dl>${keys.map(([key, says]) => html`<div key=${key}><dt>${key.split(" ").filter(Boolean).map((part) => html`<kbd>${part}</kbd>`)}</dt><dd>${says}</dd></div>`)}</dl>
        </section>`,
      )}
    </div>
  <//>`;
}
