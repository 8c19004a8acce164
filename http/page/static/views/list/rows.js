// The rows of the list: fetched page by page while the user scrolls, kept while an instance is open, and updated when
// instances change.

import { useEffect, useRef, useState } from "../../core/ui.js";
import { get, path } from "../../core/api.js";
import { onChanges } from "../../core/live.js";
import { returned } from "../../core/place.js";

const PAGE = 50; // the most rows that the API returns with `waiting_for`
const APART_MS = 1000; // between two requests for the list because of changes
const LOOKED_UP_MAX = 10; // rows below the first page that are requested one by one after a change
const KEPT_LISTS = 8;

/** @typedef {{items: any[], cursor: string | null, newer: number, scrollTop: number}} Rows */

/** @type {Map<string, Rows>} of the last lists, for `back` */
const kept = new Map();

/** @type {(key: string, rows: Rows) => void} */
function keep(key, rows) {
  kept.delete(key);
  kept.set(key, rows);
  const oldest = kept.keys().next().value;
  if (kept.size > KEPT_LISTS && oldest !== undefined) kept.delete(oldest);
}

/**
 * @param {Record<string, string>} filter
 * @param {string} order
 * @param {{current: HTMLElement | null}} box the element that scrolls
 */
export function useRows(filter, order, box) {
  const key = JSON.stringify([filter, order]);
  const begun = () => (returned.value && kept.get(key)) || { items: [], cursor: null, newer: 0, scrollTop: 0 };
  const [state, setState] = useState(() => ({ key, rows: /** @type {Rows} */ (begun()), loaded: false, busy: false, error: /** @type {unknown} */ (null) }));
  const now = useRef(state);
  now.current = state;
  const question = { ...filter, order, limit: PAGE, with: "waiting_for,children" };
  const stop = useRef(new AbortController());

  /** @param {Partial<typeof state>} change */
  const set = (change) => {
    now.current = { ...now.current, ...change };
    setState(now.current);
  };

  useEffect(() => {
    stop.current = new AbortController();
    const own = stop.current;
    const rows = begun();
    set({ key, rows, loaded: rows.items.length > 0, busy: false, error: null });
    if (rows.scrollTop) requestAnimationFrame(() => box.current?.scrollTo(0, rows.scrollTop));
    else box.current?.scrollTo(0, 0);
    let timer = 0;
    let last = 0;
    /** @type {Set<string>} */
    let changed = new Set();

    const look = async () => {
      last = Date.now();
      const ids = changed;
      changed = new Set();
      try {
        const page = await get("/instances", question, own.signal);
        if (own.signal.aborted) return;
        const top = (box.current?.scrollTop ?? 0) < 8;
        set({ rows: withHead(now.current.rows, page, top), loaded: true, error: null });
        await lookUp(ids, page.items);
      } catch (error) {
        if (own.signal.aborted) return;
        set({ error });
        plan(2000);
      }
    };
    const lookUp = async (/** @type {Set<string>} */ ids, /** @type {any[]} */ head) => {
      const fresh = new Set(head.map((item) => item.id));
      const known = new Set(now.current.rows.items.map((item) => item.id));
      const wanted = [...ids].filter((id) => known.has(id) && !fresh.has(id)).slice(0, LOOKED_UP_MAX);
      for (const id of wanted) {
        const item = await get(path("instances", id), {}, own.signal).catch(() => null);
        if (own.signal.aborted) return;
        const items = now.current.rows.items.flatMap((each) => (each.id !== id ? [each] : item ? [item] : []));
        set({ rows: { ...now.current.rows, items } });
      }
    };
    const plan = (/** @type {number} */ ms) => {
      clearTimeout(timer);
      timer = window.setTimeout(() => document.hidden || look(), ms);
    };
    look();
    const forget = onChanges(({ ids }) => {
      for (const id of ids) changed.add(id);
      plan(Math.max(0, last + APART_MS - Date.now()));
    });
    return () => {
      keep(key, { ...now.current.rows, scrollTop: box.current?.scrollTop ?? 0 });
      clearTimeout(timer);
      own.abort();
      forget();
    };
  }, [key]);

  const more = async () => {
    const { rows, busy, key: of } = now.current;
    if (busy || !rows.cursor || of !== key) return;
    const own = stop.current;
    set({ busy: true });
    try {
      const page = await get("/instances", { ...question, cursor: rows.cursor }, own.signal);
      if (own.signal.aborted) return;
      const there = new Set(now.current.rows.items.map((item) => item.id));
      const items = [...now.current.rows.items, ...page.items.filter((/** @type {any} */ item) => !there.has(item.id))];
      set({ busy: false, rows: { ...now.current.rows, items, cursor: page.cursor } });
      if (!page.items.length && page.cursor) more(); // an empty page may not be the last one
    } catch (error) {
      if (!own.signal.aborted) set({ busy: false, error });
    }
  };
  /** Show newer instances above the present rows. */
  const showNewer = async () => {
    box.current?.scrollTo(0, 0);
    const page = await get("/instances", question).catch(() => null);
    if (page) set({ rows: { items: page.items, cursor: page.cursor, newer: 0, scrollTop: 0 } });
  };
  const current = state.key === key ? state : { ...state, rows: begun(), loaded: false, error: null };
  return { ...current, more, showNewer };
}

/**
 * Replace the first page of the rows by a newer one.
 * @param {Rows} rows
 * @param {{items: any[], cursor: string | null}} page
 * @param {boolean} top whether the first row is visible, so that new rows may be added above it
 * @returns {Rows}
 */
export function withHead(rows, page, top) {
  if (rows.items.length <= PAGE) {
    if (top || !rows.items.length) return { ...rows, items: page.items, cursor: page.cursor, newer: 0 };
  }
  const fresh = new Map(page.items.map((item) => [item.id, item]));
  const known = new Set(rows.items.map((item) => item.id));
  const added = page.items.filter((item) => !known.has(item.id));
  const last = page.items.at(-1);
  const reach = last ? rows.items.findIndex((item) => item.id === last.id) : -1;
  // A row above the last row of the new page that is not in this page does not match the filter any more.
  const rest = rows.items.flatMap((item, at) => (fresh.has(item.id) ? [fresh.get(item.id)] : at <= reach ? [] : [item]));
  if (page.cursor === null) return { ...rows, items: page.items, cursor: null, newer: 0 };
  if (added.length >= page.items.length) return top ? { ...rows, items: page.items, cursor: page.cursor, newer: 0 } : { ...rows, newer: added.length };
  return top ? { ...rows, items: [...added, ...rest], newer: 0 } : { ...rows, items: rest, newer: added.length };
}
