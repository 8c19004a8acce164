// Copies a value, or a terminal command with the same effect as the page.

import { html, useEffect, useRef, useState } from "../core/ui.js";
import { notify } from "./notices.js";
import { Icon } from "./icons.js";
import { Menu } from "./menu.js";

const SAID_MS = 1500;

/** @param {string} text */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers allow the clipboard only to pages under HTTPS and to pages of this machine. `execCommand` works
    // elsewhere.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "away";
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) notify("This browser does not let this page copy.", { bad: true });
  }
}

/** @param {{text: string | (() => string), label: string}} props */
export function CopyButton({ text, label }) {
  const [done, setDone] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const act = async () => {
    await copy(typeof text === "function" ? text() : text);
    setDone(true);
    timer.current = window.setTimeout(() => setDone(false), SAID_MS);
  };
  return html`<button class="plain copy" title=${label} aria-label=${label} onClick=${act}>
    <${Icon} name=${done ? "completed" : "copy"} />
  </button>`;
}

/** A menu of commands that show the same data as a view. @param {{commands: Command[], raw: string}} props raw: the API's address */
export function CopyMenu({ commands, raw }) {
  return html`<${Menu} label="Copy as command" icon="more" plain=${true} right=${true}>${(/** @type {() => void} */ close) => html`
    ${commands.map((command) => html`<${CopyEntry} key=${command.tool} command=${command} close=${close} />`)}
    <a class="entry" href=${raw} target="_blank" rel="noreferrer">Raw</a>`}
  <//>`;
}

/** @param {{command: Command, close: () => void}} props */
function CopyEntry({ command, close }) {
  const act = async () => {
    await copy(command.text);
    notify(`Copied: ${command.text}`);
    close();
  };
  return html`<button class="entry" title=${command.text} onClick=${act}>Copy as ${command.tool}</button>`;
}

/** @typedef {{tool: string, text: string}} Command */

/**
 * Commands with the same effect as the page, to be copied.
 * @param {{commands: Command[]}} props
 */
export function Commands({ commands }) {
  return html`<details class="commands">
    <summary>Copy as command</summary>
    <ul>
      ${commands.map(
        ({ tool, text }) => html`<li key=${tool}>
          <span class="tool">${tool}</span><code>${text}</code><${CopyButton} text=${text} label=${`Copy the ${tool} command`} />
        </li>`,
      )}
    </ul>
  </details>`;
}
