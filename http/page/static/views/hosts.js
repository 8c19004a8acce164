// The hosts of the daemon: which of them are alive, their shards, and their load.

import { classes, html } from "../core/ui.js";
import { useAsked } from "../core/asked.js";
import { length, number, size } from "../core/words.js";
import { Icon } from "../parts/icons.js";
import { Moment } from "../parts/moments.js";
import { View } from "../parts/sheet.js";

const LOOK_MS = 5000;
const SILENT_S = 3; // a beat comes twice a second

export function Hosts() {
  const asked = useAsked("/hosts", {}, { everyMs: LOOK_MS });
  const { data } = asked;
  return html`<${View} title="Hosts" command=${["hosts"]} asked=${asked} says="A host is a process with a part of the store, or with a share of a database.">${() => html`
    ${data.free ? html`<div class="problem" role="alert"><${Icon} name="stalled" /><span>${number(data.free)} of ${number(data.shards)} shards have no living host. Their instances wait.</span></div>` : null}
    <ul class="hosts">${data.items.map((/** @type {any} */ each) => html`<${Host} key=${each.name} host=${each} shards=${data.shards} />`)}</ul>`}<//>`;
}

/** @param {{host: any, shards: number | null}} props */
function Host({ host, shards }) {
  const silent = host.silent !== null && host.silent > SILENT_S;
  /** @type {[string, any][]} */
  const facts = [
    ["Shards", host.shards === null ? null : html`${number(host.shards)}${shards ? html` <small class="quiet">of ${number(shards)}</small>` : null}`],
    ["Actors in memory", host.activations === null ? null : number(host.activations)],
    ["Turns", host.turns === null ? null : number(host.turns)],
    ["Commits", host.commits === null ? null : number(host.commits)],
    ["Workers", host.workers === null ? null : number(host.workers)],
    ["Jobs passed on", host.passed_on ? number(host.passed_on) : null],
    ["Store", host.store_bytes === null ? null : html`${size(host.store_bytes)}${host.wal_bytes === null ? null : html` <small class="quiet">+ log ${size(host.wal_bytes)}</small>`}`],
    ["Beat", host.beat === null ? null : html`${number(host.beat)} <small class=${classes("quiet", silent && "tone-bad")}>${host.silent === null ? "" : `${length(host.silent * 1000)} ago`}</small>`],
    ["Hosts replaced", host.kills ? number(host.kills) : null],
    ["Began", host.began ? html`<${Moment} at=${host.began} />` : null],
    ["Process", host.pid],
    ["Machine", host.machine],
    ["Address", host.address],
    ["Version", host.version],
  ];
  return html`<li class="card host">
    <h2><i class=${classes("lamp", host.ready && !silent ? "on" : "off")}></i>${host.name}<span class="quiet">${host.state ?? ""}</span><span class="space"></span>
      <span class=${host.ready ? "tone-good" : "tone-bad"}>${host.ready ? "ready" : "not ready"}</span></h2>
    <dl>${facts.filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
  </li>`;
}
