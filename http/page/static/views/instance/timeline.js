// The timeline: a table of the steps with a bar for each. Only visible rows are drawn. A bar is light while the step is
// queued and solid while it runs; attempts follow one another; pauses and timers are hatched; events are points.

import { classes, html, useEffect, useRef } from "../../core/ui.js";
import { clockMs, now } from "../../core/clock.js";
import { addKeys } from "../../core/keys.js";
import { amend } from "../../core/place.js";
import { length, number, utc } from "../../core/words.js";
import { Icon } from "../../parts/icons.js";
import { useWindow } from "../../parts/window.js";

/** @typedef {import("./steps.js").Step} Step */

const ROW_PX = 34;
const HEAD_PX = 34;
const TICKS = 5;
const ICONS = { activity: "activities", child: "child", timer: "timer", wait: "event", point: "event" };
const SAID = { open: "under way", done: "completed", failed: "failed", timeout: "timed out" };

/**
 * @param {{steps: Step[], from: string, until: string | null, chosen: Step | null, running: Map<number, string>,
 *   newest: boolean, nearEnd?: () => void}} props
 *   running: the state of open activities by their event id; newest: the newest step comes first
 */
export function Timeline({ steps, from, until, chosen, running, newest, nearEnd }) {
  const shown = newest ? [...steps].reverse() : steps;
  const first = Date.parse(from);
  const end = until ? Date.parse(until) : Math.max(now.value, clockMs());
  const scale = { first, span: Math.max(1, end - first), end };
  const view = useWindow({ count: shown.length, rowPx: ROW_PX, headPx: HEAD_PX, ...(nearEnd ? { nearEnd } : {}) });
  const at = chosen ? shown.indexOf(chosen) : -1;
  const keys = useRef(/** @type {import("../../core/keys.js").Keys} */ ({}));
  const move = (/** @type {number} */ by) => {
    const next = Math.max(0, Math.min(shown.length - 1, at + by));
    const step = shown[next];
    if (!step) return;
    amend({ step: step.key }, { replace: true });
    view.show(next);
  };
  Object.assign(keys.current, { j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), Enter: () => document.getElementById("step")?.focus() });
  useEffect(() => addKeys(keys.current), []);
  useEffect(() => {
    if (at >= 0) view.show(at);
  }, [chosen?.key]);
  return html`<div class="timeline scroll" ref=${view.element} tabindex="0" role="region" aria-label="Timeline, scrollable">
    <table class="rows" aria-rowcount=${shown.length}>
      <thead><tr>
        <th class="t-step">Step</th>
        <th class="t-bar"><span class="away">Time</span><${Axis} scale=${scale} /></th>
        <th class="t-long">Took</th>
      </tr></thead>
      <tbody>
        ${view.before ? html`<tr class="gap" key="before" aria-hidden="true"><td colspan="3" style=${{ height: `${view.before}px` }}></td></tr>` : null}
        ${shown.slice(view.first, view.last).map((step, index) => html`<${Row} key=${step.key} step=${step} index=${view.first + index}
          here=${step === chosen} scale=${scale} state=${running.get(step.id) ?? null} />`)}
        ${view.after ? html`<tr class="gap" key="after" aria-hidden="true"><td colspan="3" style=${{ height: `${view.after}px` }}></td></tr>` : null}
      </tbody>
    </table>
  </div>`;
}

/** @typedef {{first: number, span: number, end: number}} Scale in milliseconds */

/** @param {{scale: Scale}} props */
function Axis({ scale }) {
  return html`<div class="axis" aria-hidden="true">
    ${Array.from({ length: TICKS }, (_, index) => html`<span key=${index} style=${{ left: `${(index / TICKS) * 100}%` }}>${index ? `+${length((scale.span * index) / TICKS)}` : "0"}</span>`)}
  </div>`;
}

/** @param {{step: Step, index: number, here: boolean, scale: Scale, state: string | null}} props */
function Row({ step, index, here, scale, state }) {
  const took = step.kind === "point" ? "" : length((step.until ? Date.parse(step.until) : scale.end) - Date.parse(step.from));
  const choose = () => amend({ step: here ? null : step.key }, { replace: true });
  return html`<tr class=${classes("step", `is-${step.state}`, here && "here")} aria-rowindex=${index + 2} onClick=${choose}>
    <td class="t-step"><button class="plain" aria-pressed=${here} title=${step.name} onClick=${(/** @type {Event} */ event) => {
      event.stopPropagation();
      choose();
    }}><${Icon} name=${step.kind === "point" && step.tone === "bad" ? "failed" : ICONS[step.kind]} /><span>${step.name}</span>${step.attempts.length > 1 ? html`<small>×${step.attempts.length}</small>` : null}
      <span class="away">, ${step.kind}, ${step.state === "open" && state ? state : SAID[step.state]}</span></button></td>
    <td class="t-bar"><div class="lane">${pieces(step, scale, state)}</div></td>
    <td class="t-long">${step.state === "open" ? html`<span class="grows">${took}</span>` : took}</td>
  </tr>`;
}

/** @type {(step: Step, scale: Scale, state: string | null) => any} */
function pieces(step, scale, state) {
  const at = (/** @type {string | null} */ moment) => Math.min(scale.end, moment ? Date.parse(moment) : scale.end);
  if (step.kind === "point") return html`<i class=${`dot tone-${step.tone ?? "quiet"}`} style=${{ left: place(at(step.from), scale) }} title=${`${step.name}, ${utc(step.from)}`}></i>`;
  if (step.kind === "timer" || step.kind === "wait") {
    const kind = step.kind === "timer" ? "b-timer" : step.state === "timeout" ? "b-timeout" : "b-wait";
    return [bar(kind, at(step.from), at(step.until), scale, step.due ? `due ${utc(step.due)}` : ""),
      step.kind === "wait" && step.until && step.state === "done" ? html`<i class="dot tone-event" key="got" style=${{ left: place(at(step.until), scale) }}></i>` : null];
  }
  return [
    ...step.attempts.flatMap((attempt) => {
      const queued = at(attempt.asked);
      const ends = at(attempt.ended);
      const open = attempt.ended === null;
      const runs = attempt.began ? Math.max(queued, at(attempt.began)) : open && state === "queued" ? ends : queued;
      const kind = attempt.outcome === "failed" ? "b-failed" : open ? "b-open" : step.kind === "child" ? "b-child" : "b-done";
      return [
        runs > queued ? bar("b-queued", queued, runs, scale, `queued ${length(runs - queued)}`) : null,
        runs < ends || !open ? bar(kind, runs, ends, scale, `attempt ${number(step.attempts.indexOf(attempt) + 1)}: ${length(ends - runs)}`) : null,
      ];
    }),
    ...step.pauses.map((pause) => bar("b-pause", at(pause.from), at(pause.until), scale, `next attempt ${utc(pause.due)}`)),
  ];
}

/** @type {(ms: number, scale: Scale) => string} */
const place = (ms, scale) => `${Math.max(0, Math.min(100, ((ms - scale.first) / scale.span) * 100))}%`;

/** @type {(kind: string, from: number, until: number, scale: Scale, title: string) => any} */
const bar = (kind, from, until, scale, title) =>
  html`<i key=${`${kind}${from}`} class=${`bar-of ${kind}`} style=${{ left: place(from, scale), width: `${Math.max(0, ((until - from) / scale.span) * 100)}%` }} title=${title}></i>`;
