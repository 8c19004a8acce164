// The building blocks of the views: Preact, its hooks, signals, and `html`, which makes elements from a template.
// The rule: a value in a template becomes text or an attribute, never markup.

import { h, render, Fragment } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export { render, Fragment };
export { useEffect, useLayoutEffect, useMemo, useRef, useState, useCallback } from "../vendor/hooks.js";
export { signal, computed, effect, batch, useSignal } from "../vendor/signals.js";

/** Makes elements: html`<p class="quiet">${text}</p>`. */
export const html = htm.bind(h);

/**
 * Join the names of classes, without false values.
 * @param {...(string | false | null | undefined)} names
 */
export const classes = (...names) => names.filter(Boolean).join(" ");
