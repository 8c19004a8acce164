// The theme and the saved views, which this browser stores. Without storage they are lost when the page is closed.

import { signal } from "./ui.js";

/**
 * @param {string} name
 * @returns {string | null}
 */
export function recall(name) {
  try {
    return localStorage.getItem(`perdure-${name}`);
  } catch {
    return null;
  }
}

/**
 * @param {string} name
 * @param {string | null} value
 */
export function remember(name, value) {
  try {
    if (value === null) localStorage.removeItem(`perdure-${name}`);
    else localStorage.setItem(`perdure-${name}`, value);
  } catch {
    // There is no storage: the value is lost when the page is closed.
  }
}

/** "light", "dark", or null: the theme of the system. */
export const theme = signal(recall("theme"));

/** @param {string | null} chosen */
export function setTheme(chosen) {
  theme.value = chosen;
  remember("theme", chosen);
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
}

/** @typedef {{name: string, query: string}} SavedView */

/** @returns {SavedView[]} */
function savedViews() {
  try {
    const found = JSON.parse(recall("views") ?? "[]");
    return Array.isArray(found) ? found.filter((each) => typeof each?.name === "string" && typeof each?.query === "string") : [];
  } catch {
    return [];
  }
}

export const views = signal(savedViews());

/** @param {SavedView[]} all */
export function setViews(all) {
  views.value = all;
  remember("views", all.length ? JSON.stringify(all) : null);
}
