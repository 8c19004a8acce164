// The filters of the list: menus of choices, and a chip for each choice, which can be negated or removed.

import { html, useEffect, useState } from "../../core/ui.js";
import { useAsked } from "../../core/asked.js";
import { setViews, views } from "../../core/kept.js";
import { amend, go, place, to } from "../../core/place.js";
import { statusWord } from "../../core/words.js";
import { Icon } from "../../parts/icons.js";
import { Menu } from "../../parts/menu.js";
import { Status, STATUSES } from "../../parts/status.js";
import { SINCE, STUCK, Values } from "./filter.js";

const TYPING_MS = 250;
const SHOWN_STATUSES = Object.keys(STATUSES).filter((each) => !["CANCELED", "CONTINUED_AS_NEW"].includes(each));

export function Filters() {
  const query = place.value.query;
  return html`<div class="filters" role="search">
    <${Search} value=${query.get("id_prefix") ?? ""} />
    <${StatusMenu} values=${new Values(query.get("status"))} />
    <${NameMenu} values=${new Values(query.get("name"))} />
    <${OneOf} label="Started" name="since" choices=${Object.keys(SINCE)} text=${(/** @type {string} */ each) => `in the last ${each}`} />
    <${OneOf} label="Stuck" name="stuck_for" choices=${STUCK} text=${(/** @type {string} */ each) => `for ${each}`} />
    <${TagMenu} />
    <label class="tick compact"><input type="checkbox" checked=${query.has("children")} onChange=${() => amend({ children: query.has("children") ? null : "1" })} /><span>Children</span></label>
    <span class="space"></span>
    <${SavedViews} />
  </div>`;
}

/** @param {{value: string}} props */
function Search({ value }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return undefined;
    const timer = setTimeout(() => amend({ id_prefix: text || null }, { replace: value !== "" && text !== "" }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<label class="search"><${Icon} name="search" /><span class="away">Id begins with</span>
    <input id="search" type="search" placeholder="Id begins with …" value=${text} autocomplete="off" spellcheck=${false}
      onInput=${(/** @type {Event} */ event) => setText(/** @type {HTMLInputElement} */ (event.target).value)} />
    <kbd>/</kbd>
  </label>`;
}

/** @param {{values: Values}} props */
function StatusMenu({ values }) {
  const upper = new Values(values.all.map((each) => each.toUpperCase()).join(","));
  return html`<${Menu} label="Status" active=${values.all.length > 0}>${() => html`
    ${SHOWN_STATUSES.map((each) => html`<label class="tick" key=${each}>
      <input type="checkbox" checked=${upper.has(each)} onChange=${() => amend({ status: Values.written(upper.turned(each), values.not) })} />
      <${Status} status=${each} />
    </label>`)}`}
  <//>`;
}

/** @param {{values: Values}} props */
function NameMenu({ values }) {
  return html`<${Menu} label="Workflow" active=${values.all.length > 0}>${() => html`<${Names} values=${values} />`}<//>`;
}

/** @param {{values: Values}} props */
function Names({ values }) {
  const { data } = useAsked("/workflows");
  if (!data) return html`<p class="quiet">…</p>`;
  return data.items.map((/** @type {any} */ each) => html`<label class="tick" key=${each.name}>
    <input type="checkbox" checked=${values.has(each.name)} onChange=${() => amend({ name: Values.written(values.turned(each.name), values.not) })} />
    <span>${each.name}</span>
  </label>`);
}

/** @param {{label: string, name: string, choices: string[], text: (choice: string) => string}} props */
function OneOf({ label, name, choices, text }) {
  const chosen = place.value.query.get(name);
  return html`<${Menu} label=${label} active=${chosen !== null}>${(/** @type {() => void} */ close) =>
    choices.map((each) => html`<button key=${each} class="entry" aria-pressed=${each === chosen} onClick=${() => {
      amend({ [name]: each === chosen ? null : each });
      close();
    }}>${text(each)}</button>`)}<//>`;
}

function TagMenu() {
  return html`<${Menu} label="Tag">${(/** @type {() => void} */ close) => html`<${TagForm} close=${close} />`}<//>`;
}

/** @param {{close: () => void}} props */
function TagForm({ close }) {
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const add = (/** @type {Event} */ event) => {
    event.preventDefault();
    amend({ [`tag.${key}`]: value });
    close();
  };
  return html`<form class="small-form" onSubmit=${add}>
    <input aria-label="Key" placeholder="key" value=${key} required onInput=${(/** @type {any} */ event) => setKey(event.target.value)} />
    <input aria-label="Value" placeholder="value" value=${value} required onInput=${(/** @type {any} */ event) => setValue(event.target.value)} />
    <button class="primary">Add</button>
  </form>`;
}

function SavedViews() {
  const [name, setName] = useState("");
  const here = place.value.query.toString();
  const add = (/** @type {Event} */ event) => {
    event.preventDefault();
    setViews([...views.value.filter((each) => each.name !== name), { name, query: here }]);
    setName("");
  };
  return html`<${Menu} label="Views" icon="bookmark" right=${true}>${(/** @type {() => void} */ close) => html`
    ${views.value.map((each) => html`<div class="entry-row" key=${each.name}>
      <button class="entry" onClick=${() => {
        go(`${to(["instances"])}${each.query ? `?${each.query}` : ""}`);
        close();
      }}>${each.name}</button>
      <button class="plain" aria-label=${`Forget ${each.name}`} onClick=${() => setViews(views.value.filter((other) => other !== each))}><${Icon} name="close" /></button>
    </div>`)}
    <form class="small-form" onSubmit=${add}>
      <input aria-label="Name of this view" placeholder="name of this view" value=${name} required onInput=${(/** @type {any} */ event) => setName(event.target.value)} />
      <button class="primary">Save</button>
    </form>`}
  <//>`;
}

/** The present choices. */
export function Chips() {
  const query = place.value.query;
  /** @type {{name: string, label: string, text: string, not?: boolean, turn?: () => void}[]} */
  const chips = [];
  for (const [name, label, shown] of /** @type {[string, string, (text: string) => string][]} */ ([["status", "Status", statusWord], ["name", "Workflow", (text) => text]])) {
    const values = new Values(query.get(name));
    if (values.all.length) {
      const text = values.all.map((each) => shown(name === "status" ? each.toUpperCase() : each)).join(" or ");
      chips.push({ name, label, text, not: values.not, turn: () => amend({ [name]: Values.written(values.all, !values.not) }) });
    }
  }
  for (const [name, value] of query) {
    if (name === "id_prefix") chips.push({ name, label: "Id", text: `begins with ${value}` });
    else if (name === "since") chips.push({ name, label: "Started", text: `in the last ${value}` });
    else if (name === "stuck_for") chips.push({ name, label: "Stuck", text: `for ${value}` });
    else if (name === "parent") chips.push({ name, label: "Parent", text: value });
    else if (name.startsWith("tag.")) chips.push({ name, label: name.slice(4), text: value });
  }
  if (!chips.length) return null;
  return html`<ul class="chips" aria-label="Filters">
    ${chips.map(({ name, label, text, not, turn }) => html`<li key=${name}>
      ${turn ? html`<button class="turn" title=${not ? "Show these only" : "Show all but these"} onClick=${turn}>${label} <b>${not ? "is not" : "is"}</b></button>` : html`<span>${label}</span>`}
      <span class="value">${text}</span>
      <button class="plain" aria-label=${`Remove the filter ${label}`} onClick=${() => amend({ [name]: null })}><${Icon} name="close" /></button>
    </li>`)}
    <li class="bare"><button class="plain" onClick=${() => go(to(["instances"]))}>Clear</button></li>
  </ul>`;
}
