// The events of a history, read page by page from the newest end, and updated while the instance runs.

import { useEffect, useRef, useState } from "../../core/ui.js";
import { get, path } from "../../core/api.js";

const PAGE = 500;
const AT_ONCE = 2000; // events that are read without a request of the user

/** @typedef {Record<string, any>} HistoryEvent a HistoryEvent of Dapr in protobuf's JSON, with a `key` */
/** @typedef {{events: HistoryEvent[], cursor: string | null, complete: boolean}} Read events: the newest first */

/**
 * @param {any} details the description of the instance; null: not known yet
 */
export function useEvents(details) {
  const [state, setState] = useState({ events: /** @type {HistoryEvent[]} */ ([]), cursor: /** @type {string | null} */ (null), complete: false, busy: false, all: false, error: /** @type {unknown} */ (null) });
  const now = useRef(state);
  const generation = details?.execution_id ?? null;
  const count = details?.history.events ?? 0;
  const stop = useRef(new AbortController());
  const where = details ? path("instances", details.id, "history") : "";

  /** @param {Partial<typeof state>} change */
  const set = (change) => {
    now.current = { ...now.current, ...change };
    setState(now.current);
  };

  /** Read older pages, until there are enough events. */
  const back = async (/** @type {boolean} */ first) => {
    if (now.current.busy || (!first && now.current.cursor === null)) return;
    const own = stop.current;
    set({ busy: true });
    try {
      let cursor = first ? null : now.current.cursor;
      do {
        const page = await get(where, { order: "newest", limit: PAGE, payloads: "none", after: cursor }, own.signal);
        if (own.signal.aborted) return;
        cursor = page.cursor;
        set({ events: [...now.current.events, ...page.items], cursor, complete: cursor === null, error: null });
      } while (cursor !== null && (now.current.all || now.current.events.length < AT_ONCE) && first);
      while (cursor !== null && now.current.all) {
        const page = await get(where, { order: "newest", limit: PAGE, payloads: "none", after: cursor }, own.signal);
        if (own.signal.aborted) return;
        cursor = page.cursor;
        // Pages that are not shown yet only update the count; their events are added in one step at the end.
        now.current.events.push(...page.items);
        set({ cursor, complete: cursor === null, events: cursor === null ? [...now.current.events] : now.current.events });
      }
    } catch (error) {
      if (own.signal.aborted) return;
      set({ error });
    }
    set({ busy: false });
  };

  /** Read the events since the last read. */
  const forth = async () => {
    const own = stop.current;
    const newest = now.current.events[0];
    if (!newest || now.current.busy) return;
    set({ busy: true });
    try {
      let after = newest["key"];
      for (;;) {
        const page = await get(where, { order: "oldest", limit: PAGE, payloads: "none", after }, own.signal);
        if (own.signal.aborted) return;
        if (page.items.length) set({ events: [...page.items.reverse(), ...now.current.events], error: null });
        if (page.cursor === null) break;
        after = page.cursor;
      }
    } catch (error) {
      if (own.signal.aborted) return;
      set({ error });
    }
    set({ busy: false });
  };

  useEffect(() => {
    if (generation === null) return undefined;
    stop.current = new AbortController();
    set({ events: [], cursor: null, complete: false, busy: false, all: false, error: null });
    back(true);
    return () => stop.current.abort();
  }, [generation]);
  useEffect(() => {
    if (now.current.events.length && count > now.current.events.length && now.current.complete) forth();
    else if (now.current.events.length && !now.current.complete) forth();
  }, [count]);

  return {
    ...state,
    count,
    more: () => back(false),
    everything: () => {
      set({ all: true });
      back(false);
    },
  };
}
