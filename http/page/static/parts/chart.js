// Lines over time, on a canvas, with the same numbers in a table for screen readers.

import { html, useEffect, useRef } from "../core/ui.js";
import { theme } from "../core/kept.js";
import uPlot from "../vendor/uplot.js";

/** @typedef {{label: string, values: (number | null)[], tone: string}} Line tone: the name of a colour in styles.css */

/**
 * @param {{title: string, startMs: number, stepS: number, lines: Line[], show: (value: number) => string, height?: number}} props
 *   startMs: Unix time of the first value
 */
export function Chart({ title, startMs, stepS, lines, show, height = 140 }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const plot = useRef(/** @type {any} */ (null));
  const data = [
    (lines[0]?.values ?? []).map((_, index) => startMs / 1000 + (index + 1) * stepS),
    ...lines.map((line) => line.values),
  ];
  const shape = lines.map((line) => line.label + line.tone).join() + theme.value;
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const made = new uPlot(options(element, lines, show, height), /** @type {any} */ (data), element);
    plot.current = made;
    const sized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    sized.observe(element);
    const system = matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => made.redraw(false);
    system.addEventListener("change", redraw);
    return () => {
      system.removeEventListener("change", redraw);
      sized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(data), [JSON.stringify(data)]);
  const known = lines.map((line) => ({ ...line, last: [...line.values].reverse().find((value) => value != null) ?? null }));
  return html`<figure class="chart">
    <figcaption>
      <span>${title}</span>
      <span class="legend">
        ${known.map((line) => html`<span key=${line.label} class=${`tone-${line.tone}`}>
          <i></i>${line.label} <b>${line.last == null ? "–" : show(line.last)}</b>
        </span>`)}
      </span>
    </figcaption>
    <div class="plot" ref=${box} aria-hidden="true"></div>
    <div class="away"><table>
      <caption>${title}: the newest values first</caption>
      <thead><tr><th>Time (UTC)</th>${lines.map((line) => html`<th>${line.label}</th>`)}</tr></thead>
      <tbody>${rows(startMs, stepS, lines).map(
        (row) => html`<tr key=${row.at}><td>${row.at}</td>${row.values.map((value) => html`<td>${value == null ? "–" : show(value)}</td>`)}</tr>`,
      )}</tbody>
    </table></div>
  </figure>`;
}

const ROWS = 12;

/** @type {(startMs: number, stepS: number, lines: Line[]) => {at: string, values: (number | null)[]}[]} */
function rows(startMs, stepS, lines) {
  const count = lines[0]?.values.length ?? 0;
  return Array.from({ length: Math.min(ROWS, count) }, (_, back) => count - 1 - back).map((index) => ({
    at: new Date(startMs + (index + 1) * stepS * 1000).toISOString().slice(11, 19),
    values: lines.map((line) => line.values[index] ?? null),
  }));
}

/**
 * The colour of the current theme, for a canvas: the style has a pair of colours, for light and dark.
 * @param {HTMLElement} element
 * @param {string} name
 */
function colour(element, name) {
  element.style.color = `var(--${name})`;
  return getComputedStyle(element).color;
}

/** @type {(element: HTMLElement, lines: Line[], show: (value: number) => string, height: number) => any} */
function options(element, lines, show, height) {
  const quiet = () => colour(element, "quiet");
  const grid = { stroke: () => colour(element, "line"), width: 1 };
  const font = "11px system-ui, sans-serif";
  return {
    width: element.clientWidth || 300,
    height,
    cursor: { y: false, points: { size: 5 } },
    legend: { show: false },
    padding: [8, 6, 0, 0],
    scales: { y: { range: (/** @type {any} */ _plot, /** @type {number} */ _low, /** @type {number} */ high) => [0, high > 0 ? high * 1.15 : 1] } },
    axes: [
      { stroke: quiet, grid: { show: false }, ticks: { show: false }, size: 22, font, space: 70, values: (/** @type {any} */ _plot, /** @type {number[]} */ at) => at.map((s) => new Date(s * 1000).toISOString().slice(11, 16)) },
      { stroke: quiet, grid, ticks: { show: false }, size: 52, font, space: 34, values: (/** @type {any} */ _plot, /** @type {number[]} */ values) => values.map(show) },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.label,
        stroke: () => colour(element, line.tone),
        width: 1.75,
        points: { show: false },
        fill: () => colour(element, line.tone).replace("rgb(", "rgba(").replace(")", ", .1)"),
      })),
    ],
  };
}
