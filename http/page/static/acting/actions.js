// The actions on instances: the description of each, and the statuses in which it is possible.

import { ENDED } from "../parts/status.js";

/**
 * @typedef {{verb: string, done: string, says: string, icon: string, final: boolean}} Action
 *   says: its effect, for the dialog that confirms it; final: it cannot be undone
 * @typedef {"suspend" | "resume" | "terminate" | "purge" | "rerun"} ActionName
 */

/** @type {Record<ActionName, Action>} */
export const ACTIONS = {
  suspend: {
    verb: "Suspend",
    done: "suspended",
    says: "It takes no further step until it is resumed. Running activities are not stopped.",
    icon: "suspended",
    final: false,
  },
  resume: { verb: "Resume", done: "resumed", says: "It continues where it was suspended.", icon: "start", final: false },
  rerun: {
    verb: "Rerun",
    done: "run again",
    says: "A new instance runs with the same input. This one does not change.",
    icon: "again",
    final: false,
  },
  terminate: {
    verb: "Terminate",
    done: "terminated",
    says: "It ends without running its code. Nothing is undone, and it cannot continue.",
    icon: "terminated",
    final: true,
  },
  purge: {
    verb: "Purge",
    done: "purged",
    says: "Its history and its result are deleted. Only the audit shows that it existed.",
    icon: "close",
    final: true,
  },
};

export const NAMES = /** @type {ActionName[]} */ (Object.keys(ACTIONS));

/**
 * Whether an action is possible on an instance with this status.
 * @param {ActionName} name
 * @param {string} status
 */
export function fits(name, status) {
  const ended = ENDED.has(status);
  switch (name) {
    case "suspend":
      return status === "RUNNING" || status === "PENDING";
    case "resume":
      return status === "SUSPENDED";
    case "terminate":
      return !ended;
    case "purge":
      return true;
    case "rerun":
      return ended;
  }
}

/** Whether descendants are included by default. */
export const reachesDown = (/** @type {ActionName} */ name) => name === "terminate" || name === "purge";
