// The overview: counts, figures of the last hour, and first the instances that need attention.

import { html } from "../core/ui.js";
import { useAsked } from "../core/asked.js";
import { to } from "../core/place.js";
import { length, number, size, statusWord } from "../core/words.js";
import { Chart } from "../parts/chart.js";
import { Icon } from "../parts/icons.js";
import { Moment } from "../parts/moments.js";
import { Problem } from "../parts/notices.js";
import { Shares } from "../parts/share.js";
import { STATUSES, toneOf } from "../parts/status.js";

const LOOK_MS = 10_000; // the length of a step of the figures
const NAMES_SHOWN = 8;
const ALWAYS_SHOWN = ["RUNNING", "COMPLETED", "FAILED"];
const FIGURES = "started,completed,failed,terminated,commit_p99_ms,activities_running,activities_waiting,turns";

export function Overview() {
  const counts = useAsked("/count", { by: "status,name", root: "true" }, { changes: true });
  const attention = useAsked("/attention", {}, { changes: true, everyMs: LOOK_MS });
  const series = useAsked("/series", { names: FIGURES }, { everyMs: LOOK_MS });
  const system = useAsked("/system", {}, { everyMs: LOOK_MS * 3 });
  return html`<header class="head"><h1>Overview</h1></header>
    <${Problem} error=${counts.error} again=${counts.again} />
    <${Tiles} counts=${counts.data} />
    <div class="columns">
      <${Attention} asked=${attention} />
      <${ByName} counts=${counts.data} />
    </div>
    <${Charts} series=${series.data} />
    <${Problem} error=${series.error ?? system.error} />
    ${system.data ? html`<p class="quiet figures">
      <span>${system.data.hosts === 1 ? "1 host" : `${system.data.hosts} hosts`}</span>
      <span>${system.data.workers === 1 ? "1 remote worker" : `${number(system.data.workers)} remote workers`}</span>
      <span>${system.data.store.kind}${system.data.store.bytes === null ? "" : `, ${size(system.data.store.bytes)}`}</span>
      <span>began <${Moment} at=${system.data.began} /></span>
    </p>` : null}`;
}

/** @type {(counts: any, side: string) => Map<string, number>} */
function added(counts, side) {
  const sums = new Map();
  for (const each of counts?.counts ?? []) sums.set(each[side], (sums.get(each[side]) ?? 0) + each.count);
  return sums;
}

/** @param {{counts: any}} props */
function Tiles({ counts }) {
  const sums = added(counts, "status");
  const shown = [...new Set([...ALWAYS_SHOWN, ...Object.keys(STATUSES)])].filter((status) => ALWAYS_SHOWN.includes(status) || sums.get(status));
  return html`<ul class="tiles" aria-label="Instances by status">
    ${shown.map((status) => html`<li key=${status}>
      <a class=${`tile tone-${toneOf(status)}`} href=${to(["instances"], { status: status.toLowerCase() })}>
        <span><${Icon} name=${STATUSES[status]?.icon ?? "more"} />${statusWord(status)}</span>
        <b>${counts ? number(sums.get(status) ?? 0) : "–"}</b>
      </a>
    </li>`)}
  </ul>`;
}

/** The entries of `attention`, the most urgent first. @type {{name: string, title: string, tone: string, icon: string, query: Record<string, string>}[]} */
const CONCERNS = [
  { name: "set_aside", title: "set aside", tone: "aside", icon: "aside", query: { status: "set_aside", children: "1" } },
  { name: "stalled", title: "stalled", tone: "stuck", icon: "stalled", query: { status: "stalled", children: "1" } },
  { name: "failed", title: "failed in the last hour", tone: "bad", icon: "failed", query: { status: "failed", children: "1", order: "-updated" } },
  { name: "timers_overdue", title: "with a timer overdue", tone: "stuck", icon: "timer", query: {} },
  { name: "workers_gone", title: "without a worker", tone: "held", icon: "workers", query: {} },
];
const ITEMS_SHOWN = 5;

/** @param {{asked: import("../core/asked.js").Asked}} props */
function Attention({ asked }) {
  const { data } = asked;
  const found = CONCERNS.filter(({ name }) => data?.[name]?.count);
  return html`<section class="card" aria-label="Needs attention">
    <h2>Needs attention</h2>
    <${Problem} error=${asked.error} again=${asked.again} />
    ${data && !found.length ? html`<p class="calm"><${Icon} name="completed" />Nothing: no instance is stalled or set aside, and none failed in the last hour.</p>` : null}
    ${found.map(({ name, title, tone, icon, query }) => {
      const { count, more, items } = data[name];
      const text = html`<${Icon} name=${icon} /><b>${number(count)}${more ? "+" : ""}</b> ${title}`;
      return html`<div class="concern" key=${name}>
        <h3 class=${`tone-${tone}`}>${Object.keys(query).length ? html`<a href=${to(["instances"], query)}>${text}</a>` : text}</h3>
        <${Items} items=${items} />
      </div>`;
    })}
    ${data?.waiting.count ? html`<div class="concern">
      <h3><${Icon} name="pending" />Unchanged for longest <span class="quiet">of ${number(data.waiting.count)}${data.waiting.more ? "+" : ""} under way</span></h3>
      <${Items} items=${data.waiting.items} />
    </div>` : null}
  </section>`;
}

/** @param {{items: any[]}} props */
function Items({ items }) {
  return html`<ul>${items.slice(0, ITEMS_SHOWN).map((item) => html`<li key=${item.id}>
    <a href=${to(["instances", item.id])}>${item.id}</a><span class="quiet">${item.name}</span><span class="space"></span><span class="quiet"><${Moment} at=${item.updated} /></span>
  </li>`)}</ul>`;
}

/** @param {{counts: any}} props */
function ByName({ counts }) {
  /** @type {Map<string, Record<string, number>>} */
  const names = new Map();
  for (const { name, status, count } of counts?.counts ?? []) names.set(name, { ...names.get(name), [status]: count });
  const sums = added(counts, "name");
  const sorted = [...names].sort(([one], [other]) => (sums.get(other) ?? 0) - (sums.get(one) ?? 0));
  return html`<section class="card" aria-label="By workflow">
    <h2>By workflow</h2>
    ${counts && !names.size ? html`<p class="quiet">No instance has been started yet. <a href=${to(["start"])}>Start one</a>.</p>` : null}
    <ul class="by-name">${sorted.slice(0, NAMES_SHOWN).map(([name, each]) => html`<li key=${name}>
      <a href=${to(["instances"], { name })}>${name}</a><b>${number(sums.get(name) ?? 0)}</b><${Shares} counts=${each} name=${name} />
    </li>`)}</ul>
    ${sorted.length > NAMES_SHOWN ? html`<p><a href=${to(["workflows"])}>All ${sorted.length} workflows</a></p>` : null}
  </section>`;
}

/** @param {{series: any}} props */
function Charts({ series }) {
  if (!series) return null;
  const startMs = Date.parse(series.start);
  const common = { startMs, stepS: series.step };
  const line = (/** @type {string} */ label, /** @type {string} */ name, /** @type {string} */ tone) => ({ label, values: series.values[name] ?? [], tone });
  const whole = (/** @type {number} */ value) => number(Math.round(value * 10) / 10);
  return html`<section class="charts" aria-label="The last hour">
    <${Chart} title="Starts and ends in ${series.step} s" ...${common} show=${whole} lines=${[line("started", "started", "running"), line("completed", "completed", "good"), line("failed", "failed", "bad")]} />
    <${Chart} title="Activities" ...${common} show=${whole} lines=${[line("running", "activities_running", "running"), line("waiting", "activities_waiting", "held")]} />
    <${Chart} title="Commit, 99 of 100" ...${common} show=${(/** @type {number} */ ms) => length(ms)} lines=${[line("p99", "commit_p99_ms", "pending")]} />
  </section>`;
}
