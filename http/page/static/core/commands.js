// Terminal commands with the same effect as the page, quoted for a POSIX shell.

import { address, path } from "./api.js";
import { APP } from "./place.js";

/** @typedef {import("../parts/copy.js").Command} Command */

/** @param {string} text */
export const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/**
 * @param {string} method
 * @param {string} where
 * @param {{query?: import("./api.js").Query, body?: unknown, text?: string}} [call]
 */
export function curl(method, where, { query = {}, body, text } = {}) {
  const sent = text ?? (body === undefined ? null : JSON.stringify(body));
  return [curlOf(address(where, query)), ...(method === "GET" ? [] : ["-X", method]), ...(sent === null ? [] : ["-d", quoted(sent)])].join(" ");
}

/** @param {string} raw an address of the API, without the host */
export const curlOf = (raw) => `curl ${quoted(new URL(raw, location.origin).href)}`;

const server = () => (location.port === "3500" ? "" : ` --server ${location.origin}`);

/** @param {...string} words the arguments of `perdure` */
export const perdure = (...words) => `perdure ${[...words, ...(APP ? ["--app", APP] : [])].map(quoted).join(" ")}${server()}`;

/**
 * An action on an instance.
 * @param {string} action
 * @param {string} id
 * @param {Record<string, unknown>} body
 * @returns {Command[]}
 */
export function actionCommands(action, id, body) {
  const reason = typeof body["reason"] === "string" && body["reason"] ? ["--reason", body["reason"]] : [];
  const made = [
    { tool: "curl", text: curl("POST", path("instances", id, action), { body }) },
    { tool: "perdure", text: perdure(action, id, ...(body["force"] ? ["--force"] : []), ...reason) },
  ];
  const inDapr = { suspend: "suspend", resume: "resume", terminate: "terminate", purge: "purge" }[action];
  if (inDapr) made.push({ tool: "dapr", text: `dapr workflow ${inDapr} ${quoted(id)} --app-id ${quoted(APP || "APP_ID")}` });
  return made;
}

/**
 * An event to an instance.
 * @param {string} id
 * @param {string} name
 * @param {string} text JSON; "": no data
 * @returns {Command[]}
 */
export function eventCommands(id, name, text) {
  const input = text ? ["--input", text] : [];
  return [
    { tool: "curl", text: curl("POST", path("instances", id, "events", name), { text }) },
    { tool: "perdure", text: perdure("event", id, name, ...input) },
    { tool: "dapr", text: `dapr workflow raise-event ${quoted(`${id}/${name}`)} --app-id ${quoted(APP || "APP_ID")}${text ? ` --input ${quoted(text)}` : ""}` },
  ];
}
