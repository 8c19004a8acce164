// A dialog over the view: the browser's own element, which keeps the focus inside and closes with Escape.

import { html, useEffect, useRef } from "../core/ui.js";
import { Icon } from "./icons.js";

let made = 0;

/**
 * @param {{title: string, close: () => void, children: any, wide?: boolean}} props
 */
export function Dialog({ title, close, children, wide = false }) {
  const element = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useRef(`dialog-${++made}`);
  useEffect(() => {
    const before = document.activeElement;
    element.current?.showModal();
    // The focus goes to the first field, not to the close button.
    const first = element.current?.querySelector("form input:not([type=checkbox]), form textarea, form select");
    if (first instanceof HTMLElement) first.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const cancelled = (/** @type {Event} */ event) => {
    event.preventDefault();
    close();
  };
  const outside = (/** @type {MouseEvent} */ event) => {
    if (event.target === element.current) close();
  };
  return html`<dialog ref=${element} class=${wide ? "wide" : ""} aria-labelledby=${id.current} onCancel=${cancelled} onMouseDown=${outside}>
    <div class="dialog">
      <header>
        <h2 id=${id.current}>${title}</h2>
        <button class="plain" aria-label="Close" onClick=${close}><${Icon} name="close" /></button>
      </header>
      ${children}
    </div>
  </dialog>`;
}
