// The store: its size, how long commits take, and the configuration in effect.

import { html } from "../core/ui.js";
import { useAsked } from "../core/asked.js";
import { length, number, size } from "../core/words.js";
import { Chart } from "../parts/chart.js";
import { CopyButton } from "../parts/copy.js";
import { Moment } from "../parts/moments.js";
import { Shares } from "../parts/share.js";
import { View } from "../parts/sheet.js";

const LOOK_MS = 10_000;

export function Store() {
  const asked = useAsked("/system", {}, { everyMs: LOOK_MS });
  const { data: series } = useAsked("/series", { names: "commits,commit_p99_ms,turns,activations" }, { everyMs: LOOK_MS });
  const { data } = asked;
  const common = series ? { startMs: Date.parse(series.start), stepS: series.step } : null;
  const whole = (/** @type {number} */ value) => number(Math.round(value));
  return html`<${View} title="Store" asked=${asked}>${() => html`
    <div class="card"><dl class="facts-of">
      <div><dt>Kind</dt><dd>${data.store.kind}</dd></div>
      <div><dt>Files</dt><dd>${size(data.store.bytes)}</dd></div>
      <div><dt>Write-ahead log</dt><dd>${size(data.store.wal_bytes)}</dd></div>
      <div><dt>Version</dt><dd>Perdure ${data.version}, Python ${data.python}</dd></div>
      <div><dt>Began</dt><dd><${Moment} at=${data.began} /></dd></div>
      <div class="broad"><dt>Instances</dt><dd><${Shares} counts=${data.store.instances} /></dd></div>
    </dl></div>
    ${common ? html`<section class="charts" aria-label="The last hour">
      <${Chart} title="Commit, 99 of 100" ...${common} show=${(/** @type {number} */ ms) => length(ms)} lines=${[{ label: "p99", values: series.values.commit_p99_ms, tone: "pending" }]} />
      <${Chart} title="Commits and turns in ${series.step} s" ...${common} show=${whole} lines=${[{ label: "turns", values: series.values.turns, tone: "running" }, { label: "commits", values: series.values.commits, tone: "good" }]} />
      <${Chart} title="Actors in memory" ...${common} show=${whole} lines=${[{ label: "actors", values: series.values.activations, tone: "held" }]} />
    </section>` : null}
    <section class="card" aria-label="Configuration"><h2>Configuration <${CopyButton} text=${() => JSON.stringify(data.configuration, null, 2)} label="Copy the configuration" /></h2>
      <dl class="configuration">${flat(data.configuration).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    </section>`}<//>`;
}

/**
 * The names and values of an object; names within inner objects have a dot.
 * @param {any} value
 * @param {string} [before]
 * @returns {[string, string][]}
 */
function flat(value, before = "") {
  return Object.entries(value).flatMap(([name, each]) => {
    const whole = before ? `${before}.${name}` : name;
    if (each !== null && typeof each === "object" && !Array.isArray(each) && Object.keys(each).length) return flat(each, whole);
    return /** @type {[string, string][]} */ ([[whole, each === null ? "–" : typeof each === "string" ? each : JSON.stringify(each)]]);
  });
}
