// The time of the daemon's clock. It changes once a second, and only while the page is visible.

import { signal } from "./ui.js";

const SKEW_MS_MIN = 3000; // the header has whole seconds, and an answer takes time

let skewMs = 0;

/** Unix time in milliseconds, by the daemon's clock. */
export const clockMs = () => Date.now() + skewMs;

/** The same, as a signal that changes each second. */
export const now = signal(Date.now());

/**
 * Adjust the time to the daemon's clock if this machine's clock is far from it.
 * @param {string | null} date the Date header of an answer
 */
export function correctClock(date) {
  const off = date ? Date.parse(date) - Date.now() : Number.NaN;
  if (Number.isNaN(off)) return;
  if (Math.abs(off - skewMs) > SKEW_MS_MIN) skewMs = Math.abs(off) > SKEW_MS_MIN ? off : 0;
}

/** @type {ReturnType<typeof setInterval> | undefined} */
let ticking;

function tick() {
  now.value = clockMs();
}

function turn() {
  clearInterval(ticking);
  if (!document.hidden) {
    tick();
    ticking = setInterval(tick, 1000);
  }
}

export function startClock() {
  document.addEventListener("visibilitychange", turn);
  turn();
}
