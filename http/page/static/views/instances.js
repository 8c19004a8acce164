// The list of instances. Only visible rows are drawn, and the filter is in the address.

import { classes, html, useEffect, useRef, useState } from "../core/ui.js";
import { address } from "../core/api.js";
import { useAsked } from "../core/asked.js";
import { curl, perdure } from "../core/commands.js";
import { addKeys } from "../core/keys.js";
import { amend, go, place, to } from "../core/place.js";
import { counted, number } from "../core/words.js";
import { ACTIONS, NAMES } from "../acting/actions.js";
import { ActOnAll } from "../acting/all.js";
import { ActOnSeveral } from "../acting/several.js";
import { CopyMenu } from "../parts/copy.js";
import { Icon } from "../parts/icons.js";
import { Length, Moment } from "../parts/moments.js";
import { Problem } from "../parts/notices.js";
import { Status, STATUSES } from "../parts/status.js";
import { Waits } from "../parts/waiting.js";
import { useWindow } from "../parts/window.js";
import { Chips, Filters } from "./list/chips.js";
import { bodyOf, filterOf, flagsOf } from "./list/filter.js";
import { useRows } from "./list/rows.js";

const ROW_PX = 44;
const HEAD_PX = 37;

export function Instances() {
  const query = place.value.query;
  const filter = filterOf(query);
  const order = query.get("order") ?? "-created";
  const [selected, setSelected] = useState(/** @type {Set<string>} */ (new Set()));
  const [at, setAt] = useState(-1);
  const [acting, setActing] = useState(/** @type {{name: import("../acting/actions.js").ActionName, all: boolean} | null} */ (null));
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const { rows, loaded, busy, error, more, showNewer } = useRows(filter, order, box);
  const { items, cursor, newer } = rows;
  const view = useWindow({ count: items.length, rowPx: ROW_PX, headPx: HEAD_PX, nearEnd: more });
  const { status: _, ...unfiltered } = filter;
  const counts = useAsked("/count", { ...unfiltered, by: "status" }, { changes: true });
  const total = useAsked("/count", filter, { changes: true });

  useEffect(() => {
    setSelected(new Set());
    setAt(-1);
  }, [JSON.stringify(filter)]);

  const turn = (/** @type {string} */ id) => {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    setSelected(next);
  };
  const move = (/** @type {number} */ by) => {
    const next = Math.max(0, Math.min(items.length - 1, at + by));
    setAt(next);
    view.show(next);
  };
  const item = items[at];
  const keys = useRef(/** @type {import("../core/keys.js").Keys} */ ({}));
  Object.assign(keys.current, {
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    x: () => item && turn(item.id),
    X: () => setSelected(new Set(items.map((each) => each.id))),
    Escape: () => setSelected(new Set()),
    Enter: () => item && go(to(["instances", item.id])),
  });
  useEffect(() => addKeys(keys.current), []);

  const matches = sum(total.data);
  const chosen = items.filter((each) => selected.has(each.id));
  const drawn = items.slice(view.first, view.last);
  const setBox = (/** @type {HTMLElement | null} */ element) => {
    box.current = element;
    view.element.current = element;
  };
  return html`<div class="list-view">
    <header class="head"><h1>Instances</h1><${Counts} counts=${counts.data} /></header>
    <${Filters} />
    <${Chips} />
    <${Problem} error=${error} />
    <div class="bar" role="toolbar" aria-label="Actions">
      ${chosen.length ? html`<b>${counted(chosen.length, "instance")} selected</b>
          ${NAMES.map((name) => html`<button key=${name} onClick=${() => setActing({ name, all: false })}><${Icon} name=${ACTIONS[name].icon} />${ACTIONS[name].verb}</button>`)}
          <button class="plain" onClick=${() => setSelected(new Set())}>Clear</button>`
        : html`<span class="quiet">${matches === null ? "…" : html`<b class="total">${number(matches)}${total.data.more ? "+" : ""}</b> ${matches === 1 ? "instance" : "instances"}`}</span>
          <${AllMatching} matches=${matches} begin=${(/** @type {import("../acting/actions.js").ActionName} */ name) => setActing({ name, all: true })} />`}
      <span class="space"></span>
      ${newer ? html`<button class="newer" onClick=${showNewer}>Newer instances: show</button>` : null}
      <${CopyMenu} commands=${[{ tool: "perdure", text: perdure("ls", ...flagsOf(filter)) }, { tool: "curl", text: curl("GET", "/instances", { query: { ...filter, order } }) }]} raw=${address("/instances", { ...filter, order })} />
      <label class="order"><span class="away">Order</span>
        <select value=${order} onChange=${(/** @type {any} */ event) => amend({ order: event.target.value === "-created" ? null : event.target.value })}>
          <option value="-created">Newest first</option><option value="created">Oldest first</option>
          <option value="-updated">Last changed first</option><option value="id">By id</option>
        </select>
      </label>
    </div>
    <div class="scroll" ref=${setBox} tabindex="0" role="region" aria-label="Instances, scrollable">
      <table class="rows" aria-rowcount=${matches ?? -1}>
        <thead><tr>
          <th class="c-pick"><input type="checkbox" aria-label="Select all that are loaded" checked=${chosen.length > 0 && chosen.length === items.length}
            onChange=${() => setSelected(chosen.length ? new Set() : new Set(items.map((each) => each.id)))} /></th>
          <th class="c-status">Status</th><th class="c-id">Instance</th><th class="c-name">Workflow</th><th class="c-waits">Waits for</th>
          <th class="c-kids">Children</th><th class="c-at">Started</th><th class="c-long">Took</th>
        </tr></thead>
        <tbody>
          ${view.before ? html`<tr class="gap" key="before" aria-hidden="true"><td colspan="8" style=${{ height: `${view.before}px` }}></td></tr>` : null}
          ${drawn.map((each, index) => html`<${Row} key=${each.id} item=${each} index=${view.first + index} here=${view.first + index === at} selected=${selected.has(each.id)} turn=${turn} />`)}
          ${view.after ? html`<tr class="gap" key="after" aria-hidden="true"><td colspan="8" style=${{ height: `${view.after}px` }}></td></tr>` : null}
        </tbody>
      </table>
      ${loaded && !items.length && !cursor ? html`<${Nothing} />` : null}
      ${cursor || busy || !loaded ? html`<p class="quiet more" aria-busy="true">${error ? "" : "Loading…"}</p>` : null}
    </div>
    ${acting && !acting.all ? html`<${ActOnSeveral} name=${acting.name} items=${chosen} close=${() => setActing(null)} done=${() => {
      setActing(null);
      setSelected(new Set());
    }} />` : null}
    ${acting?.all ? html`<${ActOnAll} name=${acting.name} filter=${bodyOf(filter)} flags=${flagsOf(filter)} close=${() => setActing(null)} done=${() => setActing(null)} />` : null}
  </div>`;
}

/** @param {any} data of a count */
const sum = (data) => (data ? data.counts.reduce((/** @type {number} */ all, /** @type {any} */ each) => all + each.count, 0) : null);

/** @param {{item: any, index: number, here: boolean, selected: boolean, turn: (id: string) => void}} props */
function Row({ item, index, here, selected, turn }) {
  const href = to(["instances", item.id]);
  return html`<tr class=${classes(here && "here", selected && "selected")} aria-rowindex=${index + 2}>
    <td class="c-pick"><input type="checkbox" aria-label=${`Select ${item.id}`} checked=${selected} onChange=${() => turn(item.id)} /></td>
    <td class="c-status"><${Status} status=${item.status} /></td>
    <td class="c-id"><a href=${href} title=${item.id}>${item.id}</a><small>${item.name}</small></td>
    <td class="c-name" title=${item.name}>${item.name}</td>
    <td class="c-waits"><${Waits} item=${item} /></td>
    <td class="c-kids"><${Children} id=${item.id} counts=${item.children} /></td>
    <td class="c-at"><${Moment} at=${item.created} /></td>
    <td class="c-long"><${Length} from=${item.created} until=${item.ended} /></td>
  </tr>`;
}

/** @param {{id: string, counts: Record<string, number> | undefined}} props */
function Children({ id, counts }) {
  const entries = Object.entries(counts ?? {});
  if (!entries.length) return null;
  const all = entries.reduce((total, [, count]) => total + count, 0);
  return html`<a class="kids" href=${to(["instances"], { parent: id })} title=${entries.map(([status, count]) => `${status}: ${count}`).join("\n")}>
    <i class="shares" aria-hidden="true">${entries.map(([status, count]) => html`<i key=${status} class=${`fill-${(STATUSES[status] ?? { tone: "quiet" }).tone}`} style=${{ flexGrow: count }}></i>`)}</i>${number(all)}
  </a>`;
}

/** @param {{counts: any}} props */
function Counts({ counts }) {
  const query = place.value.query;
  if (!counts) return null;
  const with_ = (/** @type {string | null} */ status) => {
    const next = new URLSearchParams(query);
    if (status) next.set("status", status.toLowerCase());
    else next.delete("status");
    return to(["instances"], next);
  };
  const chosen = query.get("status");
  return html`<nav class="counts" aria-label="By status">
    <a href=${with_(null)} aria-current=${chosen === null ? "true" : undefined}>All <b>${number(sum(counts) ?? 0)}</b></a>
    ${counts.counts.map((/** @type {any} */ each) => html`<a key=${each.status} href=${with_(each.status)} aria-current=${chosen === each.status.toLowerCase() ? "true" : undefined}>
      <${Status} status=${each.status} count=${number(each.count)} /></a>`)}
  </nav>`;
}

/** @param {{matches: number | null, begin: (name: import("../acting/actions.js").ActionName) => void}} props */
function AllMatching({ matches, begin }) {
  if (!matches) return null;
  return html`<label class="act-on-all"><span class="away">Act on all that match</span>
    <select value="" onChange=${(/** @type {any} */ event) => {
      begin(event.target.value);
      event.target.value = "";
    }}>
      <option value="" disabled selected>Act on all ${number(matches)} …</option>
      ${NAMES.map((name) => html`<option key=${name} value=${name}>${ACTIONS[name].verb} all that match</option>`)}
    </select>
  </label>`;
}

function Nothing() {
  const filtered = [...place.value.query.keys()].some((name) => name !== "app");
  return html`<div class="nothing">
    <p>${filtered ? "No instance matches." : "No instance has been started yet."}</p>
    ${filtered ? html`<a href=${to(["instances"])}>Show all</a>` : html`<a class="button primary" href=${to(["start"])}>Start a workflow</a>`}
  </div>`;
}
