// A payload: an input, a result, the data of an event. It is fetched when it is shown; a large one after a click. It is
// laid out in pieces, so that five megabytes do not block the page.

import { html, useEffect, useState } from "../core/ui.js";
import { API, ask, path } from "../core/api.js";
import { pretty, size } from "../core/words.js";
import { CopyButton } from "./copy.js";
import { Problem } from "./notices.js";

const AT_ONCE_BYTES = 64 * 1024;
const PIECE_CHARS = 64 * 1024;

/**
 * @param {{id: string, eventKey: string, part: "input" | "result" | "failure", bytes: number, label: string}} props
 *   bytes: of the whole payload
 */
export function Payload({ id, eventKey, part, bytes, label }) {
  const [wanted, setWanted] = useState(bytes <= AT_ONCE_BYTES);
  const [text, setText] = useState(/** @type {string | null} */ (null));
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const where = path("instances", id, "history", eventKey, part);
  useEffect(() => {
    setText(null);
    setError(null);
    if (!wanted) return undefined;
    const stop = new AbortController();
    ask("GET", where, { signal: stop.signal })
      .then((answer) => answer.text())
      .then(setText)
      .catch((failure) => {
        if (!stop.signal.aborted) setError(failure);
      });
    return () => stop.abort();
  }, [where, wanted]);
  return html`<section class="payload" aria-label=${label}>
    <header>
      <h4>${label}</h4><span class="quiet">${size(bytes)}</span>
      <span class="space"></span>
      ${text === null ? null : html`<${CopyButton} text=${text} label=${`Copy the ${label.toLowerCase()}`} />`}
      <a class="quiet" href=${API + where} target="_blank" rel="noreferrer">raw</a>
    </header>
    ${wanted ? null : html`<button onClick=${() => setWanted(true)}>Show ${size(bytes)}</button>`}
    <${Problem} error=${error} />
    ${text === null ? null : html`<${LongText} text=${text.length <= AT_ONCE_BYTES ? pretty(text) : text} />`}
  </section>`;
}

/**
 * Text of any length. Only so much is shown at a time as a browser can lay out quickly.
 * @param {{text: string}} props
 */
export function LongText({ text }) {
  const [shown, setShown] = useState(PIECE_CHARS);
  if (text === "") return html`<p class="quiet">empty</p>`;
  const rest = text.length - shown;
  return html`<pre class="text" tabindex="0">${text.slice(0, shown)}</pre>
    ${rest > 0 ? html`<button onClick=${() => setShown(shown + PIECE_CHARS * 4)}>Show more: ${size(rest)} left</button>` : null}`;
}
