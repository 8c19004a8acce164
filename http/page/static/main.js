// The page: its frame, and the choice of the view in it.

import { classes, html, render, signal, useEffect } from "./core/ui.js";
import { answers, loggedIn, loginNeeded, logOut } from "./core/api.js";
import { useAsked } from "./core/asked.js";
import { startClock } from "./core/clock.js";
import { setTheme, theme } from "./core/kept.js";
import { addKeys, listenToKeys } from "./core/keys.js";
import { live, reconnect, startLive } from "./core/live.js";
import { APP, followLinks, go, place, to } from "./core/place.js";
import { Icon } from "./parts/icons.js";
import { Mark } from "./parts/mark.js";
import { Notices } from "./parts/notices.js";
import { KeyHelp, keyHelp } from "./parts/key_help.js";
import { Activities } from "./views/activities.js";
import { Audit } from "./views/audit.js";
import { Hosts } from "./views/hosts.js";
import { Instance } from "./views/instance/instance.js";
import { Instances } from "./views/instances.js";
import { Login } from "./views/login.js";
import { Operations } from "./views/operations.js";
import { Overview } from "./views/overview.js";
import { Start } from "./views/start.js";
import { Store } from "./views/store.js";
import { Workers } from "./views/workers.js";
import { Workflows } from "./views/workflows.js";

/** @type {{name: string, text: string, key: string, view: any, group: number}[]} key: behind `g` */
const VIEWS = [
  { name: "", text: "Overview", key: "o", view: Overview, group: 0 },
  { name: "instances", text: "Instances", key: "i", view: Instances, group: 0 },
  { name: "workflows", text: "Workflows", key: "w", view: Workflows, group: 0 },
  { name: "activities", text: "Activities", key: "a", view: Activities, group: 0 },
  { name: "operations", text: "Operations", key: "p", view: Operations, group: 1 },
  { name: "audit", text: "Audit", key: "u", view: Audit, group: 1 },
  { name: "workers", text: "Workers", key: "k", view: Workers, group: 2 },
  { name: "hosts", text: "Hosts", key: "h", view: Hosts, group: 2 },
  { name: "store", text: "Store", key: "s", view: Store, group: 2 },
];

const menuOpen = signal(false);

function View() {
  const { pieces } = place.value;
  const [name = "", id] = pieces;
  useEffect(() => {
    const found = VIEWS.find((each) => each.name === name);
    document.title = `${id ?? (name === "start" ? "Start" : found?.text ?? "Not found")} · Perdure`;
    menuOpen.value = false;
  }, [name, id]);
  if (name === "instances" && id !== undefined) return html`<${Instance} key=${id} id=${id} />`;
  if (name === "start") return html`<${Start} name=${id ?? ""} />`;
  if (name === "operations") return html`<${Operations} id=${id ?? null} />`;
  const found = VIEWS.find((each) => each.name === name && pieces.length < 2);
  return found ? html`<${found.view} />` : html`<h1>There is no such view</h1><p><a href=${to([])}>Overview</a></p>`;
}

function Frame() {
  const { data: system } = useAsked("/system", {}, { everyMs: 30_000 });
  const at = place.value.pieces[0] ?? "";
  useEffect(
    () =>
      addKeys({
        ...Object.fromEntries(VIEWS.map(({ name, key }) => [`g ${key}`, () => go(to(name ? [name] : []))])),
        "n": () => go(to(["start"])),
        "?": () => (keyHelp.value = true),
        "/": () => {
          if (place.value.pieces[0] !== "instances" || place.value.pieces.length > 1) go(to(["instances"]));
          setTimeout(() => /** @type {HTMLElement | null} */ (document.querySelector("#search"))?.focus(), 30);
        },
      }),
    [],
  );
  return html`<a class="skip" href="#main" onClick=${toMain}>To the content</a>
    <nav class=${classes("side", menuOpen.value && "open")} aria-label="Views">
      <a class="brand" href=${to([])}><${Mark} /><span>Perdure</span>${system ? html`<small title="The app of this daemon">${APP || system.app_id}</small>` : null}</a>
      <button class="plain menu" aria-label="Menu" aria-expanded=${menuOpen.value} onClick=${() => (menuOpen.value = !menuOpen.value)}><${Icon} name="menu" /></button>
      <div class="entries">
        <${Apps} system=${system} />
        ${[0, 1, 2].map(
          (group) => html`<ul key=${group}>
            ${VIEWS.filter((each) => each.group === group).map(
              ({ name, text }) => html`<li key=${name}>
                <a href=${to(name ? [name] : [])} aria-current=${at === name ? "page" : undefined}><${Icon} name=${name || "overview"} />${text}</a>
              </li>`,
            )}
          </ul>`,
        )}
        <a class="button primary new" href=${to(["start"])}><${Icon} name="start" />Start a workflow</a>
        <span class="space"></span>
        <${Foot} system=${system} />
      </div>
    </nav>
    <main id="main" tabindex="-1">
      ${answers.value ? null : html`<div class="banner" role="alert"><${Icon} name="stalled" /><span>The daemon does not answer. This view is out of date; it is updated when the daemon answers again.</span></div>`}
      <${View} />
    </main>`;
}

/** The choice of the app, if there are several. @param {{system: any}} props */
function Apps({ system }) {
  if (!system || system.apps.length < 2) return null;
  const choose = (/** @type {any} */ event) => go(to(place.value.pieces.slice(0, 1), { app: event.target.value }));
  return html`<label class="apps"><span class="away">App</span>
    <select onChange=${choose}>${system.apps.map((/** @type {string} */ each) => html`<option key=${each} value=${each === system.app_id ? "" : each} selected=${each === (APP || system.app_id)}>${each}</option>`)}</select>
  </label>`;
}

/** @param {Event} event */
function toMain(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

/** @param {{system: any}} props */
function Foot({ system }) {
  const next = /** @type {Record<string, string | null>} */ ({ light: "dark", dark: null, system: "light" });
  const chosen = theme.value ?? "system";
  return html`<div class="foot">
    <span class=${classes("liveness", live.value && "on")} role="status" title=${live.value ? "Changes arrive as they happen" : "No changes arrive"}>
      <i></i>${live.value ? "live" : "not live"}
    </span>
    <button class="plain" title=${`Colours: ${chosen}. Change them`} aria-label=${`Colours: ${chosen}`} onClick=${() => setTheme(next[chosen] ?? null)}>
      <${Icon} name=${{ light: "sun", dark: "moon", system: "auto" }[chosen] ?? "auto"} />
    </button>
    <button class="plain" title="Keys (?)" aria-label="Keys" onClick=${() => (keyHelp.value = true)}><${Icon} name="keyboard" /></button>
    ${loggedIn.value ? html`<button class="plain" title="Log out" aria-label="Log out" onClick=${leave}><${Icon} name="leave" /></button>` : null}
    ${system ? html`<small class="quiet">${system.version}</small>` : null}
  </div>`;
}

async function leave() {
  await logOut();
  reconnect();
}

function Page() {
  return html`${loginNeeded.value ? html`<${Login} />` : html`<${Frame} />`}
    <${KeyHelp} /><${Notices} />`;
}

startClock();
followLinks();
listenToKeys();
startLive();
render(html`<${Page} />`, /** @type {HTMLElement} */ (document.getElementById("app")));
