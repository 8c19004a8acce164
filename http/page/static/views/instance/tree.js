// An instance among its relatives: from its oldest ancestor down.

import { classes, html, useState } from "../../core/ui.js";
import { path } from "../../core/api.js";
import { useAsked } from "../../core/asked.js";
import { to } from "../../core/place.js";
import { Problem } from "../../parts/notices.js";
import { Status } from "../../parts/status.js";

const DEPTHS = [3, 6, 20];

/** @param {{id: string, root: string}} props root: the oldest ancestor, or the instance itself */
export function Tree({ id, root }) {
  const [depth, setDepth] = useState(0);
  const { data, error, again } = useAsked(path("instances", root, "tree"), { depth: DEPTHS[depth] ?? 3 }, { changes: true });
  return html`<section class="tree" aria-label="Tree">
    <${Problem} error=${error} again=${again} />
    ${data ? html`<ul><${Branch} node=${data} id=${id} deeper=${depth < DEPTHS.length - 1 ? () => setDepth(depth + 1) : null} /></ul>` : null}
  </section>`;
}

/** @param {{node: any, id: string, deeper: (() => void) | null}} props */
function Branch({ node, id, deeper }) {
  const more = node.more ? html`<li class="quiet">${deeper ? html`<button class="plain link" onClick=${deeper}>look deeper</button>` : null} <a href=${to(["instances"], { parent: node.id })}>list its children</a></li>` : null;
  return html`<li>
    <span class=${classes("node", node.id === id && "here")}><${Status} status=${node.status} /><a href=${to(["instances", node.id])}>${node.id}</a><span class="quiet">${node.name}</span></span>
    ${node.children.length || more ? html`<ul>${node.children.map((/** @type {any} */ child) => html`<${Branch} key=${child.id} node=${child} id=${id} deeper=${deeper} />`)}${more}</ul>` : null}
  </li>`;
}
