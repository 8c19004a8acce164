// A button that opens a small box below it: filters, more actions.

import { classes, html, useEffect, useRef, useState } from "../core/ui.js";
import { Icon } from "./icons.js";

/**
 * @param {{label: string, icon?: string, children: (close: () => void) => any, active?: boolean, right?: boolean, plain?: boolean}} props
 */
export function Menu({ label, icon, children, active = false, right = false, plain = false }) {
  const [open, setOpen] = useState(false);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const button = useRef(/** @type {HTMLElement | null} */ (null));
  const close = () => setOpen(false);
  useEffect(() => {
    if (!open) return undefined;
    const outside = (/** @type {Event} */ event) => {
      if (event.target instanceof Node && !box.current?.contains(event.target)) close();
    };
    const escape = (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
      button.current?.focus();
    };
    document.addEventListener("pointerdown", outside);
    box.current?.addEventListener("keydown", escape);
    const first = box.current?.querySelector(".box input, .box select, .box button, .box a");
    if (first instanceof HTMLElement) first.focus();
    return () => {
      document.removeEventListener("pointerdown", outside);
      box.current?.removeEventListener("keydown", escape);
    };
  }, [open]);
  return html`<div class=${classes("menu-of", right && "right")} ref=${box}>
    <button type="button" ref=${button} class=${classes(plain ? "plain" : "quiet-button", active && "active")} aria-haspopup="true"
      aria-expanded=${open} onClick=${() => setOpen(!open)} aria-label=${plain ? label : undefined} title=${plain ? label : undefined}>
      ${icon ? html`<${Icon} name=${icon} />` : null}${plain ? null : html`<span>${label}</span><${Icon} name="down" />`}
    </button>
    ${open ? html`<div class="box" role="group" aria-label=${label}>${children(close)}</div>` : null}
  </div>`;
}
