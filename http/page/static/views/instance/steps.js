// Makes the steps of an instance from its events. A step is an activity with its attempts, a timer, a child, an event
// that the instance waits for or has received, or an action of a person.
// The rule: the steps depend on the events alone.

/** @typedef {import("./events.js").HistoryEvent} HistoryEvent */
/**
 * @typedef {{id: number, asked: string, began: string | null, ended: string | null, outcome: "done" | "failed" | null,
 *   failure: any, askedEvent: HistoryEvent | null, endEvent: HistoryEvent | null}} Attempt
 * @typedef {{from: string, due: string, until: string | null}} Pause between two attempts
 * @typedef {{key: string, kind: "activity" | "child" | "timer" | "wait" | "point", name: string, id: number,
 *   from: string, until: string | null, state: "open" | "done" | "failed" | "timeout", due: string | null,
 *   attempts: Attempt[], pauses: Pause[], childId: string | null, event: HistoryEvent | null, tone: string | null}} Step
 *   id: the event id of the last request for the step; -1: there was no request
 */

/** @type {Record<string, {name: (value: any) => string, tone: string}>} */
const POINTS = {
  executionStarted: { name: () => "started", tone: "running" },
  executionCompleted: { name: (value) => (value.workflowStatus ?? "").endsWith("FAILED") ? "failed" : (value.workflowStatus ?? "").endsWith("CONTINUED_AS_NEW") ? "continued as new" : "ended", tone: "good" },
  executionTerminated: { name: () => "terminated", tone: "quiet" },
  executionSuspended: { name: () => "suspended", tone: "held" },
  executionResumed: { name: () => "resumed", tone: "running" },
  executionStalled: { name: () => "stalled", tone: "stuck" },
  continueAsNew: { name: () => "continued as new", tone: "running" },
  eventRaised: { name: (value) => value.name, tone: "event" },
  eventSent: { name: (value) => `sent ${value.name} to ${value.instanceId}`, tone: "event" },
  detachedWorkflowInstanceCreated: { name: (value) => `started ${value.instanceId}`, tone: "running" },
};

/** The kind of an event: the name of its field. @param {HistoryEvent} event */
export const typeOf = (event) => Object.keys(event).find((name) => !NOT_TYPES.has(name)) ?? "event";
const NOT_TYPES = new Set(["key", "eventId", "timestamp", "router", "payloadBytes", "began"]);

/**
 * @param {HistoryEvent[]} events the oldest first; the first ones may not have been read yet
 * @returns {Step[]} in the order of their requests
 */
export function stepsOf(events) {
  const found = new Steps();
  for (const event of events) found.take(event);
  return found.all;
}

class Steps {
  constructor() {
    /** @type {Step[]} */
    this.all = [];
    /** @type {Map<number, {step: Step, attempt: Attempt | null, pause: Pause | null}>} by the event of the request */
    this.asked = new Map();
    /** @type {Map<string, Step>} activities that may be tried again */
    this.tried = new Map();
    /** @type {Map<string, Step[]>} by the name of the event in lower case */
    this.waiting = new Map();
  }

  /** @param {HistoryEvent} event */
  take(event) {
    const type = typeOf(event);
    const value = event[type] ?? {};
    switch (type) {
      case "taskScheduled":
        return this.activity(event, value);
      case "childWorkflowInstanceCreated":
        return this.child(event, value);
      case "timerCreated":
        return this.timer(event, value);
      case "timerFired":
        return this.fired(event, value);
      case "taskCompleted":
      case "childWorkflowInstanceCompleted":
        return this.answered(event, value, "done");
      case "taskFailed":
      case "childWorkflowInstanceFailed":
        return this.answered(event, value, "failed");
      case "workflowStarted":
      case "workflowCompleted":
        return undefined;
      case "eventRaised":
        if (this.raised(event, value)) return undefined;
    }
    return this.point(event, type, value);
  }

  /** @param {HistoryEvent} event @param {any} value */
  activity(event, value) {
    const attempt = attemptOf(event);
    const again = value.taskExecutionId ? this.tried.get(value.taskExecutionId) : undefined;
    const step = again ?? this.add({ ...blank(event, "activity", value.name), attempts: [] });
    if (again) Object.assign(again, { id: event["eventId"], state: "open", until: null });
    else if (value.taskExecutionId) this.tried.set(value.taskExecutionId, step);
    step.attempts.push(attempt);
    this.asked.set(event["eventId"], { step, attempt, pause: null });
  }

  /** @param {HistoryEvent} event @param {any} value */
  child(event, value) {
    const attempt = attemptOf(event);
    const step = this.add({ ...blank(event, "child", value.name ?? "child"), attempts: [attempt], childId: value.instanceId });
    this.asked.set(event["eventId"], { step, attempt, pause: null });
  }

  /** @param {HistoryEvent} event @param {any} value */
  timer(event, value) {
    const retried = value.activityRetry && this.tried.get(value.activityRetry.taskExecutionId);
    if (retried) {
      const pause = { from: event["timestamp"], due: value.fireAt, until: null };
      retried.pauses.push(pause);
      Object.assign(retried, { state: "open", until: null, due: value.fireAt });
      this.asked.set(event["eventId"], { step: retried, attempt: null, pause });
      return;
    }
    const awaited = value.externalEvent?.name;
    const step = this.add({ ...blank(event, awaited ? "wait" : "timer", awaited ?? value.name ?? "timer"), due: value.fireAt });
    this.asked.set(event["eventId"], { step, attempt: null, pause: null });
    if (awaited) this.waiting.set(awaited.toLowerCase(), [...(this.waiting.get(awaited.toLowerCase()) ?? []), step]);
  }

  /** @param {HistoryEvent} event @param {any} value */
  fired(event, value) {
    const found = this.asked.get(value.timerId);
    if (!found) return;
    if (found.pause) found.pause.until = event["timestamp"];
    else if (found.step.state === "open") Object.assign(found.step, { until: event["timestamp"], state: found.step.kind === "wait" ? "timeout" : "done" });
  }

  /** @param {HistoryEvent} event @param {any} value @param {"done" | "failed"} outcome */
  answered(event, value, outcome) {
    let found = this.asked.get(value.taskScheduledId);
    if (!found) {
      // The event of the request has not been read yet.
      const kind = "taskCompleted" in event || "taskFailed" in event ? "activity" : "child";
      const attempt = { ...attemptOf(event), id: value.taskScheduledId, askedEvent: null };
      const step = this.add({ ...blank(event, kind, `${kind} #${value.taskScheduledId}`), id: value.taskScheduledId, attempts: [attempt] });
      found = { step, attempt, pause: null };
    }
    const { step, attempt } = found;
    if (!attempt || attempt.ended) return;
    Object.assign(attempt, { began: event["began"] ?? null, ended: event["timestamp"], outcome, failure: value.failureDetails ?? null, endEvent: event });
    Object.assign(step, { until: event["timestamp"], state: outcome, due: null });
  }

  /** @param {HistoryEvent} event @param {any} value @returns {boolean} whether a step has waited for it */
  raised(event, value) {
    const queue = this.waiting.get(String(value.name).toLowerCase()) ?? [];
    const step = queue.find((each) => each.state === "open");
    if (!step) return false;
    Object.assign(step, { until: event["timestamp"], state: "done", event });
    return true;
  }

  /** @param {HistoryEvent} event @param {string} type @param {any} value */
  point(event, type, value) {
    const kind = POINTS[type];
    const failed = type === "executionCompleted" && (value.workflowStatus ?? "").endsWith("FAILED");
    const step = this.add({ ...blank(event, "point", kind?.name(value) ?? type), until: event["timestamp"], state: failed ? "failed" : "done", event });
    step.tone = failed ? "bad" : kind?.tone ?? "quiet";
  }

  /** @param {Step} step */
  add(step) {
    this.all.push(step);
    return step;
  }
}

/** @type {(event: HistoryEvent, kind: Step["kind"], name: string) => Step} */
const blank = (event, kind, name) => ({
  key: event["key"], kind, name, id: event["eventId"], from: event["timestamp"], until: null, state: "open", due: null,
  attempts: [], pauses: [], childId: null, event, tone: null,
});

/** @param {HistoryEvent} event @returns {Attempt} */
const attemptOf = (event) => ({
  id: event["eventId"], asked: event["timestamp"], began: null, ended: null, outcome: null, failure: null, askedEvent: event, endEvent: null,
});
