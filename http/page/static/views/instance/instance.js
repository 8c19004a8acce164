// One instance: first its failure or the events that it waits for; then its timeline, its events, its tree, and the
// actions.

import { classes, html, useEffect, useMemo, useRef, useState } from "../../core/ui.js";
import { API, path } from "../../core/api.js";
import { useAsked } from "../../core/asked.js";
import { curl, perdure } from "../../core/commands.js";
import { addKeys } from "../../core/keys.js";
import { amend, go, lastList, place, to } from "../../core/place.js";
import { counted, number, pretty, size } from "../../core/words.js";
import { ACTIONS, fits, NAMES } from "../../acting/actions.js";
import { ActOnOne } from "../../acting/one.js";
import { Commands, CopyButton } from "../../parts/copy.js";
import { Icon } from "../../parts/icons.js";
import { Menu } from "../../parts/menu.js";
import { Length, Moment } from "../../parts/moments.js";
import { Problem } from "../../parts/notices.js";
import { ENDED, Status } from "../../parts/status.js";
import { waitingText } from "../../parts/waiting.js";
import { EventTable } from "./event_table.js";
import { useEvents } from "./events.js";
import { WhyFailed, WhyStalled } from "./failure.js";
import { canAnswer, Repair, SendEvent } from "./repair.js";
import { Rerun } from "./rerun.js";
import { StepDetails } from "./step.js";
import { stepsOf } from "./steps.js";
import { Timeline } from "./timeline.js";
import { Tree } from "./tree.js";
import { InAndOut } from "./in_and_out.js";

const LOOK_MS = 2000; // between two requests for a running instance, because the stream does not report its turns
const TABS = /** @type {[string, string][]} */ ([["", "Timeline"], ["events", "Events"], ["tree", "Tree"], ["raw", "Raw"]]);
const OLDEST_FIRST_MAX = 500; // steps; if there are more, the newest come first

/** @param {{id: string}} props */
export function Instance({ id }) {
  const ended = useRef(false);
  const { data: details, error, again } = useAsked(path("instances", id), {}, {
    changes: ({ ids }) => ids.has(id),
    everyMs: ended.current ? 0 : LOOK_MS,
  });
  ended.current = details !== null && ENDED.has(details.status);
  if (!details) return html`<div class="instance"><${Crumbs} id=${id} /><h1 class="id">${id}</h1><${Problem} error=${error} again=${again} /></div>`;
  return html`<${Described} details=${details} again=${again} error=${error} />`;
}

/** @param {{id: string, parent?: string | null, app?: string}} props app: the parent's app; missing: the page's app */
function Crumbs({ id, parent, app }) {
  return html`<nav class="crumbs" aria-label="Where this is">
    <a href=${lastList.value}>Instances</a>
    ${parent ? html`<${Icon} name="right" /><a href=${to(["instances", parent], app ? { app } : {})}>${parent}</a>` : null}
    <${Icon} name="right" /><span>${id}</span>
  </nav>`;
}

/** @param {{details: any, again: () => void, error: unknown}} props */
function Described({ details, again, error }) {
  const query = place.value.query;
  const tab = query.get("tab") ?? "";
  const [acting, setActing] = useState(/** @type {any} */ (null));
  const read = useEvents(details);
  const chronological = useMemo(() => [...read.events].reverse(), [read.events]);
  const steps = useMemo(() => stepsOf(chronological), [chronological]);
  const chosen = steps.find((step) => step.key === query.get("step")) ?? null;
  const running = new Map(details.waiting_for.filter((/** @type {any} */ each) => each.event_id !== null && each.state).map((/** @type {any} */ each) => [each.event_id, each.state]));
  const done = () => {
    setActing(null);
    again();
  };
  const act = (/** @type {any} */ what) => setActing(what);
  const showStep = (/** @type {number} */ eventId) => {
    const step = steps.find((each) => each.id === eventId || each.attempts.some((attempt) => attempt.id === eventId));
    if (step) amend({ tab: null, step: step.key });
  };
  useEffect(
    () => addKeys({ u: () => go(lastList.value), ...Object.fromEntries(TABS.map(([name], index) => [String(index + 1), () => amend({ tab: name || null })])) }),
    [],
  );
  const incomplete = !read.complete && read.events.length > 0;
  const first = incomplete ? chronological[0]?.["timestamp"] ?? details.created : chronological[0]?.["timestamp"] ?? details.created;
  const newest = query.get("order") ? query.get("order") === "newest" : incomplete || steps.length > OLDEST_FIRST_MAX;
  return html`<div class="instance">
    <${Crumbs} id=${details.id} parent=${details.parent} app=${details.parent_app_id} />
    <${Head} details=${details} act=${act} />
    <${Problem} error=${error} again=${again} />
    ${details.failure ? html`<${WhyFailed} failure=${details.failure} show=${showStep} />` : null}
    ${details.stall ? html`<${WhyStalled} stall=${details.stall} release=${() => act({ repair: { kind: "release", event_id: null } })} />` : null}
    <${WaitsFor} details=${details} act=${act} />
    <${InAndOut} details=${details} events=${read.events} complete=${read.complete} />
    <nav class="tabs" aria-label="Parts">
      ${TABS.map(([name, text]) => html`<a key=${name} href=${to(["instances", details.id], { tab: name })} aria-current=${tab === name ? "page" : undefined}>${text}${name === "events" ? html` <small>${number(read.count)}</small>` : null}</a>`)}
      <span class="space"></span>
      ${tab === "" && steps.length > 1 ? html`<button class="plain" onClick=${() => amend({ order: newest ? "oldest" : "newest" }, { replace: true })}>${newest ? "Newest first" : "Oldest first"}</button>` : null}
      ${incomplete ? html`<span class="quiet">${number(read.events.length)} of ${number(read.count)} read</span><button class="plain link" disabled=${read.all} onClick=${read.everything}>${read.all ? "reading…" : "read all"}</button>` : null}
    </nav>
    <${Problem} error=${read.error} />
    ${tab === "" ? html`<div class=${classes("beside", chosen && "open")}>
      <${Timeline} steps=${steps} from=${first} until=${details.ended} chosen=${chosen} running=${running} newest=${newest} nearEnd=${newest ? read.more : undefined} />
      ${chosen ? html`<${StepDetails} key=${chosen.key} step=${chosen} details=${details} rerun=${(/** @type {number} */ event) => act({ rerun: event })} repair=${(/** @type {any} */ entry) => act({ repair: entry })} />` : null}
    </div>` : null}
    ${tab === "events" ? html`<${EventTable} events=${read.events} count=${read.count} from=${details.created} chosen=${query.get("event")} id=${details.id} nearEnd=${read.more} />` : null}
    ${tab === "tree" ? html`<${Tree} id=${details.id} root=${details.root ?? details.id} />` : null}
    ${tab === "raw" ? html`<${Raw} details=${details} />` : null}
    ${acting?.name ? html`<${ActOnOne} name=${acting.name} item=${details} close=${() => setActing(null)} done=${() => {
      done();
      if (acting.name === "purge") go(lastList.value);
    }} />` : null}
    ${acting?.rerun !== undefined ? html`<${Rerun} details=${details} fromEvent=${acting.rerun} close=${() => setActing(null)} />` : null}
    ${acting?.repair ? html`<${Repair} details=${details} entry=${acting.repair} close=${() => setActing(null)} done=${done} />` : null}
    ${acting?.send ? html`<${SendEvent} details=${details} close=${() => setActing(null)} done=${done} />` : null}
  </div>`;
}

/** @param {{details: any, act: (what: any) => void}} props */
function Head({ details, act }) {
  const tags = Object.entries(details.tags);
  const here = NAMES.filter((name) => fits(name, details.status));
  const ended = ENDED.has(details.status);
  return html`<header class="head instance-head">
    <div>
      <h1 class="id">${details.id}<${CopyButton} text=${details.id} label="Copy the id" /></h1>
      <p class="facts">
        <${Status} status=${details.status} />
        <a href=${to(["instances"], { name: details.name })}>${details.name}</a>
        <span>started <${Moment} at=${details.created} /></span>
        <span>${ended ? "took" : "for"} <${Length} from=${details.created} until=${details.ended} /></span>
        ${details.generation ? html`<span title="How often it has continued as new">generation ${number(details.generation)}</span>` : null}
        <span class="quiet">${counted(details.history.events, "event")}, ${size(details.history.bytes)}</span>
        ${details.custom_status ? html`<span class="custom" title="Its custom status">${details.custom_status}</span>` : null}
        ${tags.map(([key, value]) => html`<a class="tag" key=${key} href=${to(["instances"], { [`tag.${key}`]: String(value) })}>${key}: ${value}</a>`)}
      </p>
    </div>
    <div class="buttons">
      ${here.map((name) => html`<button key=${name} class=${ACTIONS[name].final ? "final" : ""} onClick=${() => act(name === "rerun" ? { rerun: null } : { name })}><${Icon} name=${ACTIONS[name].icon} />${ACTIONS[name].verb}</button>`)}
      <${Menu} label="More" icon="more" plain=${true} right=${true}>${(/** @type {() => void} */ close) => html`
        ${ended ? null : html`<button class="entry" onClick=${() => {
          act({ send: true });
          close();
        }}>Send an event …</button>`}
        <a class="entry" href=${`${API}${path("instances", details.id, "export")}`} download=${`${details.id}.ndjson`}>Export its history</a>
        <a class="entry" href=${to(["audit"], { id: details.id })}>Its audit</a>`}
      <//>
    </div>
  </header>`;
}

/** @param {{details: any, act: (what: any) => void}} props */
function WaitsFor({ details, act }) {
  const all = details.waiting_for.filter((/** @type {any} */ each) => each.kind !== "release");
  if (!all.length) return null;
  return html`<section class="why waiting" aria-label="What it waits for">
    <h2><${Icon} name="pending" />Waits for</h2>
    <ul>
      ${all.slice(0, 20).map((/** @type {any} */ entry, /** @type {number} */ index) => html`<li key=${index}>
        <i class=${`kind kind-${entry.kind}`}></i>
        <b>${entry.kind === "child" && entry.child_id ? html`child <a href=${to(["instances", entry.child_id], entry.app_id ? { app: entry.app_id } : {})}>${entry.child_id}</a>` : entry.kind === "activity" ? html`activity ${entry.name}` : waitingText(entry)}</b>
        ${entry.kind === "activity" ? html`<span class="quiet">${entry.state ?? ""}${entry.attempt > 1 ? `, attempt ${entry.attempt}` : ""}</span>` : null}
        ${entry.app_id ? html`<span class="quiet">of ${entry.app_id}</span>` : null}
        ${entry.since ? html`<span class="quiet">since <${Moment} at=${entry.since} /></span>` : null}
        ${entry.due ? html`<span class="quiet">${entry.kind === "activity" ? "tried again" : entry.kind === "event" ? "gives up" : "due"} <${Moment} at=${entry.due} /></span>` : null}
        ${canAnswer(entry) ? html`<button class="plain link" onClick=${() => act({ repair: entry })}>${entry.kind === "event" ? "send it" : "answer it"}</button>` : null}
      </li>`)}
    </ul>
    ${all.length > 20 ? html`<p class="quiet">and ${number(all.length - 20)} more</p>` : null}
  </section>`;
}

/** @param {{details: any}} props */
function Raw({ details }) {
  const text = pretty(JSON.stringify(details));
  const where = path("instances", details.id);
  return html`<section class="raw-form">
    <${Commands} commands=${[
      { tool: "curl", text: curl("GET", where) },
      { tool: "perdure", text: perdure("show", details.id) },
      { tool: "dapr", text: `dapr workflow history ${details.id} --app-id ${details.app_id}` },
    ]} />
    <div class="raw"><${CopyButton} text=${text} label="Copy" /><pre class="text" tabindex="0">${text}</pre></div>
  </section>`;
}
