// Calls `/api/v1`, and knows whether the daemon answers.
// The rule: a call that fails gives an error of one sentence, which contains the message of the daemon.

import { signal } from "./ui.js";
import { APP, ROOT } from "./place.js";
import { correctClock } from "./clock.js";
import { recall, remember } from "./kept.js";

export const API = `${ROOT}api/v1`;

/** Whether the page needs a login before it can show data. */
export const loginNeeded = signal(false);
/** Whether this browser has a login that a logout would end. */
export const loggedIn = signal(recall("login") === "yes");
/** Whether the daemon answers. */
export const answers = signal(true);

/** A failed call: its answer is an error, or there was no answer. */
export class ApiError extends Error {
  /**
   * @param {number} status 0: no answer
   * @param {string} code
   * @param {string} message
   */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** @typedef {Record<string, string | number | boolean | null | undefined>} Query */
/** @typedef {{query?: Query, body?: unknown, text?: string, headers?: Record<string, string>, signal?: AbortSignal}} Call */

/**
 * Make a path below the prefix; each segment is encoded.
 * @param {string[]} pieces
 */
export const path = (...pieces) => `/${pieces.map(encodeURIComponent).join("/")}`;

/**
 * @param {string} where
 * @param {Query} [query]
 */
export function address(where, query = {}) {
  const made = new URLSearchParams(APP && where !== "/session" ? { app_id: APP } : {});
  for (const [name, value] of Object.entries(query)) if (value != null && value !== "") made.append(name, String(value));
  const text = made.toString();
  return API + where + (text ? `?${text}` : "");
}

/**
 * Send a request to the daemon.
 * @param {string} method
 * @param {string} where below the prefix
 * @param {Call} [call]
 * @returns {Promise<Response>}
 */
export async function ask(method, where, { query, body, text, headers, signal: stop } = {}) {
  /** @type {RequestInit} */
  const init = { method, headers: headers ?? {}, credentials: "same-origin", cache: "no-store" };
  if (stop) init.signal = stop;
  if (text !== undefined) init.body = text;
  else if (body !== undefined) init.body = JSON.stringify(body);
  let answer;
  try {
    answer = await fetch(address(where, query), init);
  } catch (error) {
    if (stop?.aborted) throw error;
    answers.value = false;
    throw new ApiError(0, "", "The daemon does not answer.");
  }
  correctClock(answer.headers.get("date"));
  if (answer.ok) {
    answers.value = true;
    return answer;
  }
  throw await refused(answer);
}

/** @param {Response} answer */
async function refused(answer) {
  const { errorCode = "", message = "" } = await answer.json().catch(() => ({}));
  if (answer.status === 401 && errorCode !== "ERR_TOKEN_UNKNOWN") loginNeeded.value = true;
  if (answer.status === 502 || answer.status === 504) answers.value = false; // from a proxy before the daemon
  else answers.value = true;
  return new ApiError(answer.status, errorCode, message || `The daemon has answered with status ${answer.status}.`);
}

/**
 * Get a JSON value.
 * @param {string} where
 * @param {Query} [query]
 * @param {AbortSignal} [stop]
 * @returns {Promise<any>}
 */
export async function get(where, query, stop) {
  const answer = await ask("GET", where, { query: query ?? {}, ...(stop ? { signal: stop } : {}) });
  return answer.json();
}

/**
 * Send a request that changes state.
 * @param {string} where
 * @param {Call} [call]
 * @returns {Promise<any>} the value of the answer, or null
 */
export async function post(where, call) {
  const answer = await ask("POST", where, call);
  return answer.status === 204 ? null : answer.json();
}

/** @param {string} token */
export async function logIn(token) {
  await ask("POST", "/session", { body: { token } });
  loggedIn.value = true;
  remember("login", "yes");
  loginNeeded.value = false;
}

export async function logOut() {
  await ask("DELETE", "/session");
  loggedIn.value = false;
  remember("login", null);
  loginNeeded.value = true;
}

/**
 * Describe an error in a sentence.
 * @param {unknown} error
 */
export const sentence = (error) => (error instanceof Error ? error.message : String(error));
