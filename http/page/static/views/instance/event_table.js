// All events of the history, one by one, the newest first.

import { classes, html } from "../../core/ui.js";
import { amend } from "../../core/place.js";
import { clockTime, length, size, utc } from "../../core/words.js";
import { CopyButton } from "../../parts/copy.js";
import { Icon } from "../../parts/icons.js";
import { Payload } from "../../parts/payload.js";
import { useWindow } from "../../parts/window.js";
import { typeOf } from "./steps.js";

const ROW_PX = 32;
const HEAD_PX = 34;

/** @typedef {import("./events.js").HistoryEvent} HistoryEvent */

/** @param {HistoryEvent} event */
function about(event) {
  const value = event[typeOf(event)] ?? {};
  const name = value.name ?? value.externalEvent?.name ?? value.instanceId ?? "";
  const of = value.taskScheduledId ?? value.timerId;
  return [name, of === undefined ? "" : `of #${of}`, value.failureDetails?.errorMessage ?? ""].filter(Boolean).join(" ");
}

/** @param {HistoryEvent} event */
const words = (event) => typeOf(event).replace(/([A-Z])/g, " $1").toLowerCase();

/**
 * @param {{events: HistoryEvent[], count: number, from: string, chosen: string | null, id: string, nearEnd: () => void}} props
 *   events: the newest first; count: of all, read or not
 */
export function EventTable({ events, count, from, chosen, id, nearEnd }) {
  const view = useWindow({ count: events.length, rowPx: ROW_PX, headPx: HEAD_PX, nearEnd });
  const event = chosen ? events.find((each) => each["key"] === chosen) : null;
  const began = Date.parse(from);
  return html`<div class=${classes("beside", event && "open")}>
    <div class="scroll events" ref=${view.element} tabindex="0" role="region" aria-label="Events, scrollable">
      <table class="rows" aria-rowcount=${count}>
        <thead><tr><th class="e-no">#</th><th class="e-at">Time (UTC)</th><th class="e-type">Event</th><th class="e-about">About</th><th class="e-size">Payload</th></tr></thead>
        <tbody>
          ${view.before ? html`<tr class="gap" key="before" aria-hidden="true"><td colspan="5" style=${{ height: `${view.before}px` }}></td></tr>` : null}
          ${events.slice(view.first, view.last).map((each, index) => {
            const key = each["key"];
            const choose = () => amend({ event: key === chosen ? null : key }, { replace: true });
            return html`<tr key=${key} class=${classes(key === chosen && "here", /Failed$/.test(typeOf(each)) && "is-failed")} aria-rowindex=${view.first + index + 2} onClick=${choose}>
              <td class="e-no">${each["eventId"] >= 0 ? each["eventId"] : ""}</td>
              <td class="e-at" title=${`${utc(each["timestamp"])}, ${length(Date.parse(each["timestamp"]) - began)} after the start`}>${clockTime(each["timestamp"])}</td>
              <td class="e-type"><button class="plain" aria-pressed=${key === chosen} onClick=${(/** @type {Event} */ click) => {
                click.stopPropagation();
                choose();
              }}>${words(each)}</button></td>
              <td class="e-about" title=${about(each)}>${about(each)}</td>
              <td class="e-size">${each["payloadBytes"] ? size(each["payloadBytes"]) : ""}</td>
            </tr>`;
          })}
          ${view.after ? html`<tr class="gap" key="after" aria-hidden="true"><td colspan="5" style=${{ height: `${view.after}px` }}></td></tr>` : null}
        </tbody>
      </table>
    </div>
    ${event ? html`<${OneEvent} key=${event["key"]} event=${event} id=${id} />` : null}
  </div>`;
}

/** @param {{event: HistoryEvent, id: string}} props */
function OneEvent({ event, id }) {
  const type = typeOf(event);
  const part = /Completed$/.test(type) ? "result" : "input";
  const text = JSON.stringify(event, null, 2);
  return html`<aside class="step-details" aria-label="The event">
    <header><h3>${words(event)}</h3><span class="space"></span><button class="plain" aria-label="Close" onClick=${() => amend({ event: null }, { replace: true })}><${Icon} name="close" /></button></header>
    <p class="quiet">${utc(event["timestamp"])}</p>
    ${event["payloadBytes"] ? html`<${Payload} id=${id} eventKey=${event["key"]} part=${part} bytes=${event["payloadBytes"]} label=${part === "result" ? "Result" : "Payload"} />` : null}
    <div class="raw"><${CopyButton} text=${text} label="Copy the event" /><pre class="text" tabindex="0">${text}</pre></div>
  </aside>`;
}
