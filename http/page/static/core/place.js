// The page's address: its root, which depends on where a program mounts it, the open view, and the query of that view.
// The rule: every view is a URL. The state of a view is in its query, so that `back` restores it.

import { batch, effect, signal } from "./ui.js";

/** The path below which the daemon serves; it ends in a slash. */
export const ROOT = new URL("../../../../", import.meta.url).pathname;
export const UI = `${ROOT}ui/`;

/** The app whose instances are shown; "": the daemon's first app. For another app the page is loaded again. */
export const APP = appOf(location.search);

/** @param {string} query */
function appOf(query) {
  return new URLSearchParams(query).get("app") ?? "";
}

/** @typedef {{pieces: string[], query: URLSearchParams, key: string}} Place */

/** @returns {Place} */
function read() {
  const path = location.pathname.startsWith(UI) ? location.pathname.slice(UI.length) : "";
  const pieces = path.split("/").filter(Boolean).map(decoded);
  return { pieces, query: new URLSearchParams(location.search), key: location.pathname + location.search };
}

/** @param {string} piece */
function decoded(piece) {
  try {
    return decodeURIComponent(piece);
  } catch {
    return piece;
  }
}

export const place = signal(read());

/** Whether the view was opened by `back` or `forward`, and may show its earlier rows. */
export const returned = signal(false);

/** The last address of the list of instances, with its filters. */
export const lastList = signal(to(["instances"]));

effect(() => {
  const { pieces, key } = place.value;
  if (pieces[0] === "instances" && pieces.length === 1) lastList.value = key;
});

/**
 * The address of a view. The app stays the same unless the query names another.
 * @param {string[]} pieces
 * @param {Record<string, string | null | undefined> | URLSearchParams} [query]
 */
export function to(pieces, query = {}) {
  const text = query instanceof URLSearchParams ? query.toString() : written({ app: APP, ...query });
  return UI + pieces.map(encodeURIComponent).join("/") + (text ? `?${text}` : "");
}

/** @param {Record<string, string | null | undefined>} query */
function written(query) {
  const made = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value != null && value !== "") made.append(name, value);
  return made.toString();
}

/**
 * Open a view.
 * @param {string} address
 * @param {{replace?: boolean}} [how] replace: `back` skips the present view
 */
export function go(address, { replace = false } = {}) {
  const { search } = new URL(address, location.origin);
  if (appOf(search) !== APP) return location.assign(address);
  if (address !== location.pathname + location.search) history[replace ? "replaceState" : "pushState"](null, "", address);
  const before = place.value.pieces.join("/");
  batch(() => {
    returned.value = false;
    place.value = read();
  });
  if (before !== place.value.pieces.join("/")) document.querySelector("main")?.scrollTo(0, 0);
}

/**
 * Change the query of the open view.
 * @param {Record<string, string | null>} changes null: remove the name
 * @param {{replace?: boolean}} [how]
 */
export function amend(changes, how = {}) {
  const query = new URLSearchParams(place.value.query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  go(to(place.value.pieces, query), how);
}

/** Follow links to views without loading the page again, and `back` and `forward`. */
export function followLinks() {
  addEventListener("popstate", () => {
    if (appOf(location.search) !== APP) return location.reload();
    batch(() => {
      returned.value = true;
      place.value = read();
    });
  });
  addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (!link.pathname.startsWith(UI)) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
