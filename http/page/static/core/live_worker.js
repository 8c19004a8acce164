// One stream of changes for all tabs of a browser: with HTTP/1.1 browsers open six connections to a host, so ten tabs
// with a stream each would hang. It runs while a tab is visible.
//
// To the tabs: {kind: "state", live} and {kind: "changes", ids, reset}. From them: {visible}, {leave: true}, {again: true}.

const GATHER_MS = 200; // the changes of this time are one message
const CLOSE_MS = 1000; // at a change of tabs, the new tab is visible soon after the old one is hidden
const AGAIN_MS = [500, 1000, 2000, 4000]; // until the next try, by the number of failed tries

const root = new URL("../../../../", self.location.href);
const app = new URL(self.location.href).searchParams.get("app");

/** @type {Map<MessagePort, boolean>} whether each tab can be seen */
const tabs = new Map();
/** @type {EventSource | null} */
let source = null;
let live = false;
let failures = 0;
/** @type {Set<string>} */
let changed = new Set();
let reset = false;
/** @typedef {ReturnType<typeof setTimeout> | undefined} Timer */
let gathering = /** @type {Timer} */ (undefined);
let closing = /** @type {Timer} */ (undefined);
let retrying = /** @type {Timer} */ (undefined);

/** @param {unknown} message */
function tell(message) {
  for (const port of tabs.keys()) port.postMessage(message);
}

/** @param {boolean} value */
function setLive(value) {
  live = value;
  tell({ kind: "state", live });
}

function flush() {
  gathering = undefined;
  tell({ kind: "changes", ids: [...changed], reset });
  changed = new Set();
  reset = false;
}

/** @param {string | null} id null: anything may have changed */
function note(id) {
  if (id === null) reset = true;
  else if (changed.size < 5000) changed.add(id);
  else reset = true;
  gathering ??= setTimeout(flush, GATHER_MS);
}

function open() {
  clearTimeout(retrying);
  if (source) return;
  source = new EventSource(new URL(`api/v1/events${app ? `?app_id=${encodeURIComponent(app)}` : ""}`, root));
  source.addEventListener("ready", () => {
    failures = 0;
    setLive(true);
    note(null);
  });
  for (const kind of ["change", "leave", "gone"]) {
    source.addEventListener(kind, (event) => note(JSON.parse(/** @type {MessageEvent} */ (event).data).id));
  }
  source.addEventListener("reset", () => note(null));
  source.addEventListener("error", () => {
    setLive(false);
    // A browser tries again by itself only after a broken connection, not after a refusal.
    if (source?.readyState === EventSource.CLOSED) again();
  });
}

function again() {
  close();
  clearTimeout(retrying);
  retrying = setTimeout(weigh, AGAIN_MS[Math.min(failures++, AGAIN_MS.length - 1)]);
}

function close() {
  source?.close();
  source = null;
}

function weigh() {
  clearTimeout(closing);
  if ([...tabs.values()].some(Boolean)) open();
  else {
    closing = setTimeout(() => {
      clearTimeout(retrying);
      close();
    }, CLOSE_MS);
  }
}

/** @param {MessageEvent} event */
function joined(event) {
  const port = /** @type {MessagePort} */ (event.ports[0]);
  tabs.set(port, false);
  port.onmessage = ({ data }) => {
    if (data.leave) tabs.delete(port);
    else if (data.again) again();
    else tabs.set(port, data.visible);
    weigh();
  };
  port.postMessage({ kind: "state", live });
}

self.addEventListener("connect", (event) => joined(/** @type {MessageEvent} */ (event)));
// A browser without shared workers runs this as the worker of one tab.
self.addEventListener("message", (event) => {
  if (event.ports.length) joined(event);
});
