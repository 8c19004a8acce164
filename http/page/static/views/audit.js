// The audit: each change, with its author and its reason.

import { html, useEffect, useState } from "../core/ui.js";
import { get } from "../core/api.js";
import { useAsked } from "../core/asked.js";
import { amend, place, to } from "../core/place.js";
import { Choice, Field } from "../parts/field.js";
import { Moment } from "../parts/moments.js";
import { notify } from "../parts/notices.js";
import { Empty, Sheet, View } from "../parts/sheet.js";

const LOOK_MS = 10_000;
const TYPING_MS = 300;
const ACTIONS = ["suspend", "resume", "terminate", "purge", "rerun", "repair", "import", "bulk", "set-aside", "release"];

/** @type {import("../parts/sheet.js").Column[]} */
const COLUMNS = [
  { title: "When", cell: (each) => html`<${Moment} at=${each.at} />` },
  { title: "Who", cell: (each) => html`<button class="plain link" onClick=${() => amend({ actor: each.actor })}>${each.actor}</button> <small class="quiet">${each.door}</small>` },
  { title: "Action", cell: (each) => html`<b>${each.action}</b>` },
  { title: "Instance", cell: (each) => (each.action === "bulk" ? html`<code>${each.id}</code>` : html`<a href=${to(["instances", each.id])}><code>${each.id}</code></a>`) },
  { title: "Reason", cell: (each) => html`${each.reason ?? html`<span class="quiet">none given</span>`}${each.detail ? html` <small class="quiet">${each.detail}</small>` : null}` },
  { title: "Belongs to", cell: (each) => (each.operation ? html`<a href=${to(["operations", each.operation])}>bulk</a>` : each.source ? html`rerun of <a href=${to(["instances", each.source])}><code>${each.source}</code></a>` : "") },
];

export function Audit() {
  const query = place.value.query;
  const filter = { id: query.get("id"), actor: query.get("actor"), action: query.get("action") };
  const asked = useAsked("/audit", filter, { changes: true, everyMs: LOOK_MS });
  const [older, setOlder] = useState({ key: "", items: /** @type {any[]} */ ([]), cursor: /** @type {string | null} */ (null) });
  const key = JSON.stringify(filter);
  const mine = older.key === key ? older : { key, items: [], cursor: asked.data?.cursor ?? null };
  const more = async () => {
    try {
      const page = await get("/audit", { ...filter, cursor: mine.cursor });
      setOlder({ key, items: [...mine.items, ...page.items], cursor: page.cursor });
    } catch (error) {
      notify(String(error), { bad: true });
    }
  };
  const seen = new Set(asked.data?.items.map((/** @type {any} */ each) => JSON.stringify(each)));
  const items = [...(asked.data?.items ?? []), ...mine.items.filter((each) => !seen.has(JSON.stringify(each)))];
  const filtered = Object.values(filter).some((each) => each !== null);
  return html`<${View} title="Audit" command=${["audit", ...Object.entries(filter).flatMap(([flag, value]) => (value ? [`--${flag}`, value] : []))]} says="Each change of an instance, with its author and the reason. Starts and events stand in the history of their instance." asked=${asked} actions=${html`<${Filter} filter=${filter} />`}>${() => html`
    ${items.length ? html`<${Sheet} label="Audit" columns=${COLUMNS} items=${items} keyOf=${(/** @type {any} */ each) => JSON.stringify(each)} />`
      : html`<${Empty} title=${filtered ? "Nothing matches." : "Nothing has been changed yet."}>${filtered ? html`<a href=${to(["audit"])}>Show all</a>` : "Every action on an instance is listed here."}<//>`}
    ${mine.cursor ? html`<button onClick=${more}>Show older</button>` : null}`}<//>`;
}

/** @param {{filter: Record<string, string | null>}} props */
function Filter({ filter }) {
  const [id, setId] = useState(filter["id"] ?? "");
  const [actor, setActor] = useState(filter["actor"] ?? "");
  useEffect(() => setId(filter["id"] ?? ""), [filter["id"]]);
  useEffect(() => setActor(filter["actor"] ?? ""), [filter["actor"]]);
  useEffect(() => {
    if (id === (filter["id"] ?? "") && actor === (filter["actor"] ?? "")) return undefined;
    const timer = setTimeout(() => amend({ id: id || null, actor: actor || null }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [id, actor]);
  return html`<div class="inline-form">
    <${Field} label="Instance" value=${id} set=${setId} mono=${true} />
    <${Field} label="Who" value=${actor} set=${setActor} />
    <${Choice} label="Action" value=${filter["action"] ?? ""} set=${(/** @type {string} */ value) => amend({ action: value || null })}
      options=${[{ value: "", text: "any" }, ...ACTIONS.map((each) => ({ value: each, text: each }))]} />
  </div>`;
}
