// Icons. They repeat the word beside them, and so are hidden from screen readers.

import { html } from "../core/ui.js";

/** @type {Record<string, string>} the `d` of a path in a box of 16 by 16 */
const PATHS = {
  overview: "M2.5 13.5v-5h3v5zM6.5 13.5v-11h3v11zM10.5 13.5v-7h3v7z",
  instances: "M2.5 4h11M2.5 8h11M2.5 12h7",
  workflows: "M4 2.5v4a2 2 0 0 0 2 2h4a2 2 0 0 1 2 2v3M4 2.5a1 1 0 1 0 .01 0M12 12.5a1 1 0 1 0 .01 0",
  activities: "M9 1.5 3.5 9H8l-1 5.5L12.5 7H8z",
  workers: "M5 7.5a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4zM1.5 13c0-2 1.5-3.5 3.5-3.5S8.5 11 8.5 13M11 8a1.8 1.8 0 1 0 0-3.6M10.7 10c2 0 3.8 1 3.8 3",
  hosts: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01",
  store: "M2.5 4c0-2.7 11-2.7 11 0s-11 2.7-11 0v8c0 2.7 11 2.7 11 0V4M2.5 8c0 2.7 11 2.7 11 0",
  audit: "M3.5 1.5h6l3 3v10h-9zM9.5 1.5v3h3M5.5 8h5M5.5 11h5",
  operations: "M2.5 5.5 4 7l2.5-3M2.5 11 4 12.5 6.5 9.5M9 5.5h4.5M9 11h4.5",
  start: "M4.5 2.5v11l8.5-5.5z",
  running: "M8 1.8a6.2 6.2 0 1 0 .01 0M6.8 5.5v5L10.6 8z",
  completed: "m3.5 8.5 3 3 6-7",
  failed: "m4 4 8 8M12 4l-8 8",
  suspended: "M5.5 3.5v9M10.5 3.5v9",
  terminated: "M4 4h8v8H4z",
  pending: "M8 1.5a6.5 6.5 0 1 0 .01 0M8 4.5V8l2.5 1.5",
  stalled: "M8 2 1.5 13.5h13zM8 6.5v3M8 11.5h.01",
  aside: "M4 14.5v-13h8l-2 3.5 2 3.5H4",
  timer: "M4 2.5h8M4 13.5h8M4.5 2.5c0 3 7 8 7 11M11.5 2.5c0 3-7 8-7 11",
  event: "M8.5 1.5 3.5 9h4l-.5 5.5 5-7.5h-4z",
  child: "M4.5 2.5v7a2 2 0 0 0 2 2h5M9.5 9l2.5 2.5L9.5 14",
  close: "m4 4 8 8M12 4l-8 8",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.5 10.5l3.5 3.5",
  plus: "M8 3v10M3 8h10",
  copy: "M5.5 5.5h8v8h-8zM3 10.5h-.5v-8h8V3",
  down: "m4 6 4 4 4-4",
  right: "m6 4 4 4-4 4",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1",
  moon: "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z",
  auto: "M8 1.5a6.5 6.5 0 1 0 .01 0M8 1.5v13",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  again: "M13 8a5 5 0 1 1-1.5-3.5M13 2v3h-3",
  keyboard: "M1.5 4h13v8h-13zM4 6.5h.01M6.5 6.5h.01M9 6.5h.01M11.5 6.5h.01M5 9.5h6",
  leave: "M6.5 2.5h-4v11h4M10 5l3 3-3 3M13 8H6",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  bookmark: "M4 2h8v12l-4-3-4 3z",
};

/** @param {{name: string}} props */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d=${PATHS[name] ?? ""} /></svg>`;
}
