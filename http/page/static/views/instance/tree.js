// The tree of an instance, from its oldest ancestor down.

import { classes, html, useEffect, useState } from "../../core/ui.js";
import { path } from "../../core/api.js";
import { useAsked } from "../../core/asked.js";
import { to } from "../../core/place.js";
import { Problem } from "../../parts/notices.js";
import { Status } from "../../parts/status.js";

const DEPTHS = [3, 6, 20];

/** @param {{id: string, root: string}} props root: the oldest ancestor, or the instance itself */
export function Tree({ id, root }) {
  const [depth, setDepth] = useState(0);
  const [top, setTop] = useState(root);
  const { data, error, again } = useAsked(path("instances", top, "tree"), { depth: DEPTHS[depth] ?? 3 }, { changes: true });
  useEffect(() => {
    // This app has no description of an ancestor in another app.
    if (/** @type {any} */ (error)?.status === 404) setTop(id);
  }, [error]);
  return html`<section class="tree" aria-label="Tree">
    <${Problem} error=${error} again=${again} />
    ${data ? html`<ul><${Branch} node=${data} id=${id} deeper=${depth < DEPTHS.length - 1 ? () => setDepth(depth + 1) : null} /></ul>` : null}
  </section>`;
}

/** @param {{node: any, id: string, deeper: (() => void) | null, app?: string}} props app: the parent's app; missing: the page's app */
function Branch({ node, id, deeper, app }) {
  const own = node.app_id ?? app;
  const of = own ? { app: own } : {};
  const more = node.more ? html`<li class="quiet">${deeper ? html`<button class="plain link" onClick=${deeper}>look deeper</button>` : null} <a href=${to(["instances"], { ...of, parent: node.id })}>list its children</a></li>` : null;
  return html`<li>
    <span class=${classes("node", node.id === id && "here")}><${Status} status=${node.status} /><a href=${to(["instances", node.id], of)}>${node.id}</a><span class="quiet">${node.name}${node.app_id ? ` of ${node.app_id}` : ""}</span></span>
    ${node.children.length || more ? html`<ul>${node.children.map((/** @type {any} */ child) => html`<${Branch} key=${child.id} node=${child} id=${id} deeper=${deeper} app=${own} />`)}${more}</ul>` : null}
  </li>`;
}
