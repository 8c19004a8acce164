// The stream of changes. All tabs share it through a worker; if the browser has no shared workers, each tab has its
// own.

import { signal } from "./ui.js";
import { answers } from "./api.js";
import { APP } from "./place.js";

/** Whether the stream is connected. */
export const live = signal(false);

/** @typedef {{ids: Set<string>, reset: boolean}} Changes reset: anything may have changed */
/** @type {Set<(changes: Changes) => void>} */
const readers = new Set();

/**
 * Call a reader for each change; the returned function ends that.
 * @param {(changes: Changes) => void} reader
 */
export function onChanges(reader) {
  readers.add(reader);
  return () => {
    readers.delete(reader);
  };
}

/** @type {(message: unknown) => void} */
let say = () => {};

/** Connect again, after a login or a logout. */
export const reconnect = () => say({ again: true });

/** @param {{kind: string, live?: boolean, ids?: string[], reset?: boolean}} message */
function heard(message) {
  if (message.kind === "state") {
    live.value = message.live === true;
    return;
  }
  if (message.reset) answers.value = true; // the stream has begun again, so the daemon answers
  if (!document.hidden) for (const reader of readers) reader({ ids: new Set(message.ids), reset: message.reset === true });
}

export function startLive() {
  const visible = () => say({ visible: !document.hidden });
  // One worker for each app that is shown: browsers identify shared workers by their address, which contains the app.
  const file = new URL(`./live_worker.js?app=${encodeURIComponent(APP)}`, import.meta.url).href;
  if (typeof SharedWorker === "function") {
    const worker = new SharedWorker(trusted(file), { name: "perdure-changes" });
    worker.port.onmessage = ({ data }) => heard(data);
    say = (message) => worker.port.postMessage(message);
  } else {
    const worker = new Worker(trusted(file));
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => heard(data);
    say = (message) => port1.postMessage(message);
    worker.postMessage(null, [port2]);
  }
  document.addEventListener("visibilitychange", () => {
    visible();
    if (!document.hidden) heard({ kind: "changes", ids: [], reset: true });
  });
  addEventListener("pagehide", () => say({ leave: true }));
  addEventListener("pageshow", visible);
  visible();
}

/**
 * Mark an address as trusted for scripts, if the browser requires that (Trusted Types).
 * @param {string} file of this page
 * @returns {string}
 */
function trusted(file) {
  const types = /** @type {any} */ (globalThis).trustedTypes;
  return types ? types.createPolicy("perdure", { createScriptURL: (/** @type {string} */ url) => url }).createScriptURL(file) : file;
}
