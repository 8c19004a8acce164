// A request of a view to the daemon. The view keeps the answer, and repeats the request when the answer may have
// changed. While the page is hidden it sends no requests.

import { useCallback, useEffect, useRef, useState } from "./ui.js";
import { address, answers, get } from "./api.js";
import { onChanges } from "./live.js";

const APART_MS = 1000; // between two requests because of changes
const RETRY_MS = 2000; // between two tries while the daemon does not answer

/**
 * @typedef {{data: any, error: unknown, again: () => void, raw: string}} Asked
 *   data: of the last successful answer; null: none yet; raw: the address of the answer
 * @typedef {import("./api.js").Query} Query
 */

/**
 * Get a value, and keep it up to date.
 * @param {string | null} where null: send no request
 * @param {Query} [query]
 * @param {{changes?: boolean | ((changes: import("./live.js").Changes) => boolean), everyMs?: number}} [when]
 *   changes: repeat when instances change; everyMs: also repeat after this time, in milliseconds
 * @returns {Asked}
 */
export function useAsked(where, query = {}, { changes = false, everyMs = 0 } = {}) {
  const key = where === null ? null : JSON.stringify([where, query]);
  const [state, setState] = useState(/** @type {{key: string | null, data: any, error: unknown}} */ ({ key, data: null, error: null }));
  const matters = useRef(changes);
  matters.current = changes;
  const trigger = useRef(() => {});

  useEffect(() => {
    if (key === null || where === null) return undefined;
    const stop = new AbortController();
    const timers = { next: 0, busy: false, wanted: false, last: 0 };

    const load = async () => {
      if (timers.busy) {
        timers.wanted = true;
        return;
      }
      clearTimeout(timers.next);
      timers.busy = true;
      timers.last = Date.now();
      let failed = false;
      try {
        const data = await get(where, query, stop.signal);
        if (!stop.signal.aborted) setState({ key, data, error: null });
      } catch (error) {
        if (stop.signal.aborted) return;
        failed = !answers.value || /** @type {any} */ (error).status === 503;
        setState((before) => ({ key, data: before.key === key ? before.data : null, error }));
      }
      timers.busy = false;
      if (stop.signal.aborted) return;
      if (timers.wanted) {
        timers.wanted = false;
        soon();
      } else if (failed) plan(RETRY_MS);
      else if (everyMs) plan(everyMs);
    };
    const plan = (/** @type {number} */ ms) => {
      clearTimeout(timers.next);
      timers.next = window.setTimeout(() => {
        if (document.hidden) timers.next = 0;
        else load();
      }, ms);
    };
    const soon = () => {
      if (timers.busy) timers.wanted = true;
      else plan(Math.max(0, timers.last + APART_MS - Date.now()));
    };
    trigger.current = load;
    load();
    const forget = onChanges((told) => {
      const wanted = matters.current;
      if (told.reset || (typeof wanted === "function" ? wanted(told) : wanted)) soon();
    });
    return () => {
      stop.abort();
      clearTimeout(timers.next);
      forget();
    };
  }, [key]);

  const again = useCallback(() => trigger.current(), []);
  const raw = where === null ? "" : address(where, query);
  return state.key === key ? { ...state, again, raw } : { data: null, error: null, again, raw };
}
