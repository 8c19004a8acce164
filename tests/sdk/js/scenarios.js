// Every workflow method of Dapr's JavaScript SDK: `DaprClient.workflow` over HTTP, with the management guide's sample,
// and `DaprWorkflowClient` with `WorkflowRuntime` over gRPC.
//
// Tells what it saw in lines of JSON, like the scenario programs in Python (tests/sdk/report.py).

import { readFileSync } from "node:fs";
import { DaprClient, DaprWorkflowClient, WorkflowRuntime } from "@dapr/dapr";

const { version } = JSON.parse(readFileSync(new URL("node_modules/@dapr/dapr/package.json", import.meta.url)));
const within = 30; // seconds
const rpc = { daprHost: "127.0.0.1", daprPort: process.env.DAPR_GRPC_PORT };

let failed = 0;

async function method(sdk, name, scenario) {
  let result = "passed";
  let detail = "";
  try {
    await Promise.race([scenario(), late((within + 10) * 1000)]);
  } catch (error) {
    failed += 1;
    console.error(error);
    [result, detail] = ["FAILED", String(error)];
  }
  console.log(JSON.stringify({ row: { sdk: `JavaScript @dapr/dapr ${version} ${sdk}`, method: name, result, detail } }));
}

function late(ms) {
  return new Promise((_, reject) => setTimeout(() => reject(new Error(`not done after ${ms} ms`)), ms).unref());
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function equal(found, expected) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${a}, not ${b}`);
}

function newId(about) {
  return `js-${about}-${crypto.randomUUID().slice(0, 8)}`;
}

// The worker.

const plusOne = async (_, n) => n + 1;
const breaks = async (_, text) => {
  throw new Error(text);
};
const echoes = async (_, given) => given;
const whoAmI = async (ctx) => ctx.getWorkflowInstanceId();

async function* chain(ctx, n) {
  for (let i = 0; i < 5; i++) n = yield ctx.callActivity(plusOne, n);
  return n;
}
async function* byName(ctx) {
  return yield ctx.callActivity("plusOne", 1);
}
async function* fanOut(ctx, width) {
  const tasks = [];
  for (let i = 0; i < width; i++) tasks.push(ctx.callActivity(plusOne, i));
  return (yield ctx.whenAll(tasks)).length;
}
async function* waits(ctx) {
  return yield ctx.waitForExternalEvent("go");
}
// What the context gives is the same in a replay: after each activity the code runs again from its first line.
async function* replays(ctx) {
  let [same, replayed] = [true, false];
  for (let i = 0; i < 3; i++) {
    const seen = ctx.getWorkflowInstanceId() + ctx.getCurrentUtcDateTime().toISOString();
    replayed ||= ctx.isReplaying();
    same &&= (yield ctx.callActivity(echoes, seen)) === seen;
  }
  return same && replayed;
}
async function* race(ctx) {
  const timer = ctx.createTimer(3600);
  const event = ctx.waitForExternalEvent("go");
  const winner = yield ctx.whenAny([timer, event]);
  return winner === event ? `event ${event.getResult()}` : "timer";
}
async function* timers(ctx) {
  const began = ctx.getCurrentUtcDateTime();
  yield ctx.createTimer(0.3);
  return ctx.getCurrentUtcDateTime() - began;
}
async function* parent(ctx, childId) {
  const given = yield ctx.callChildWorkflow(chain, 1, childId);
  const sub = yield ctx.callSubWorkflow("chain", 2);
  return [given, sub, yield ctx.callActivity(whoAmI)];
}
async function* fails(ctx) {
  yield ctx.callActivity(breaks, "so it goes");
}
async function* compensates(ctx) {
  try {
    yield ctx.callActivity(breaks, "no money");
  } catch (error) {
    return `compensated: ${String(error).includes("no money")}`;
  }
  return "not caught";
}
async function* generations(ctx, seen) {
  seen.push(yield ctx.waitForExternalEvent("item"));
  if (seen.length < 3) ctx.continueAsNew(seen, true);
  else return seen;
}
async function* ownStatus(ctx) {
  ctx.setCustomStatus("half way");
  yield ctx.waitForExternalEvent("go");
  return "done";
}
// What the guide starts.
async function* OrderProcessingWorkflow(ctx, order) {
  yield ctx.callActivity(plusOne, order.Quantity);
  return yield ctx.waitForExternalEvent("approval");
}

function runtime() {
  const made = new WorkflowRuntime(rpc);
  const workflows = {
    chain, byName, fanOut, waits, replays, race, timers, parent, fails, compensates, generations, ownStatus,
    OrderProcessingWorkflow,
  };
  for (const [name, workflow] of Object.entries(workflows)) made.registerWorkflowWithName(name, workflow);
  for (const [name, activity] of Object.entries({ plusOne, breaks, echoes, whoAmI })) made.registerActivityWithName(name, activity);
  return made;
}

// DaprClient.workflow: HTTP.

async function guide() {
  const client = new DaprClient({ daprHost: "127.0.0.1", daprPort: process.env.DAPR_HTTP_PORT });
  const sdk = "DaprClient.workflow";
  const order = { Name: "Paperclips", TotalCost: 99.95, Quantity: 4 };
  const status = async (id) => (await client.workflow.get(id)).runtimeStatus;
  async function reaches(id, expected) {
    const until = Date.now() + within * 1000;
    for (;;) {
      const found = await status(id);
      if (found === expected) return;
      if (Date.now() > until) throw new Error(`${found}, not ${expected}`);
      await sleep(50);
    }
  }
  async function started() {
    const id = await client.workflow.start("OrderProcessingWorkflow", order);
    await reaches(id, "RUNNING");
    return id;
  }
  await method(sdk, "start", async () => {
    const id = newId("guide");
    equal(await client.workflow.start("OrderProcessingWorkflow", order, id), id);
    await started();
  });
  await method(sdk, "get", async () => {
    const state = await client.workflow.get(await started());
    equal(state.workflowName, "OrderProcessingWorkflow");
    if (Math.abs(state.createdAt - Date.now()) > 60_000) throw new Error(`created at ${state.createdAt.toUTCString()}`);
    equal(JSON.parse(state.properties["dapr.workflow.input"]), order);
  });
  await method(sdk, "pause", async () => {
    const id = await started();
    await client.workflow.pause(id);
    equal(await status(id), "SUSPENDED");
  });
  await method(sdk, "resume", async () => {
    const id = await started();
    await client.workflow.pause(id);
    await client.workflow.resume(id);
    await reaches(id, "RUNNING");
  });
  await method(sdk, "raise", async () => {
    const id = await started();
    await client.workflow.raise(id, "approval", { ok: true });
    await reaches(id, "COMPLETED");
    equal(JSON.parse((await client.workflow.get(id)).properties["dapr.workflow.output"]), { ok: true });
  });
  await method(sdk, "terminate", async () => {
    const id = await started();
    await client.workflow.terminate(id);
    await reaches(id, "TERMINATED");
  });
  await method(sdk, "purge", async () => {
    const id = await started();
    await client.workflow.terminate(id);
    await reaches(id, "TERMINATED");
    await client.workflow.purge(id);
    const gone = await client.workflow.get(id).then(() => "it is still there", (error) => String(error));
    if (!gone.includes("ERR_INSTANCE_ID_NOT_FOUND")) throw new Error(gone);
  });
  await method(sdk, "scheduleNewWorkflow, getWorkflowState, raiseEvent", async () => {
    const id = await client.workflow.scheduleNewWorkflow("OrderProcessingWorkflow", order);
    await client.workflow.raiseEvent(id, "approval", "yes", { eventContentType: "application/json" }).catch(() => {});
    equal((await client.workflow.getWorkflowState(id)).workflowName, "OrderProcessingWorkflow");
  });
  await client.stop();
}

// DaprWorkflowClient and WorkflowRuntime: gRPC.

async function remote() {
  const client = new DaprWorkflowClient(rpc);
  const sdk = "DaprWorkflowClient, WorkflowRuntime";
  const RUNNING = 0, COMPLETED = 1, FAILED = 3, TERMINATED = 5, SUSPENDED = 7;
  async function finish(id, status = COMPLETED) {
    const state = await client.waitForWorkflowCompletion(id, true, within);
    equal(state.runtimeStatus, status);
    return state;
  }
  const output = async (id) => JSON.parse((await finish(id)).serializedOutput);
  const status = async (id) => (await client.getWorkflowState(id, true)).runtimeStatus;

  await method(sdk, "scheduleNewWorkflow", async () => {
    const id = newId("chain");
    equal(await client.scheduleNewWorkflow(chain, 1, id), id);
    equal(await output(id), 6);
    equal(await output(await client.scheduleNewWorkflow("byName")), 2);
    const later = await client.scheduleNewWorkflow(chain, 1, undefined, new Date(Date.now() + 1500));
    equal(await status(later), 6); // pending
    equal(await output(later), 6);
  });
  await method(sdk, "getWorkflowState", async () => {
    equal(await client.getWorkflowState(newId("nobody"), true), undefined);
    const id = await client.scheduleNewWorkflow(chain, 1);
    await finish(id);
    const state = await client.getWorkflowState(id, true);
    equal([state.name, state.serializedInput, state.serializedOutput], ["chain", "1", "6"]);
  });
  await method(sdk, "waitForWorkflowStart", async () => {
    const id = await client.scheduleNewWorkflow(waits);
    equal((await client.waitForWorkflowStart(id, true, within)).runtimeStatus, RUNNING);
  });
  await method(sdk, "waitForWorkflowCompletion", async () => {
    const id = await client.scheduleNewWorkflow(waits);
    const waited = await client.waitForWorkflowCompletion(id, true, 1).then(() => "it ended", () => "timed out");
    equal(waited, "timed out");
  });
  await method(sdk, "raiseEvent", async () => {
    const id = await client.scheduleNewWorkflow(waits);
    await client.raiseEvent(id, "GO", { a: ["ü"] });
    equal(await output(id), { a: ["ü"] });
    const bare = await client.scheduleNewWorkflow(waits);
    await client.raiseEvent(bare, "go");
    await finish(bare);
  });
  await method(sdk, "suspendWorkflow, resumeWorkflow", async () => {
    const id = await client.scheduleNewWorkflow(waits);
    await client.suspendWorkflow(id);
    equal(await status(id), SUSPENDED);
    await client.raiseEvent(id, "go", 1);
    await sleep(300);
    equal(await status(id), SUSPENDED);
    await client.resumeWorkflow(id);
    equal(await output(id), 1);
  });
  await method(sdk, "terminateWorkflow", async () => {
    const id = await client.scheduleNewWorkflow(waits);
    await client.terminateWorkflow(id, { why: "enough" });
    equal(JSON.parse((await finish(id, TERMINATED)).serializedOutput), { why: "enough" });
  });
  await method(sdk, "purgeWorkflow", async () => {
    const id = await client.scheduleNewWorkflow(chain, 1);
    await finish(id);
    equal(await client.purgeWorkflow(id), true);
    equal(await client.getWorkflowState(id, true), undefined);
  });
  await method(sdk, "callActivity", async () => {
    equal(await output(await client.scheduleNewWorkflow(chain, 1)), 6);
  });
  await method(sdk, "waitForExternalEvent", async () => {
    const id = await client.scheduleNewWorkflow(waits);
    await client.raiseEvent(id, "go", "heard");
    equal(await output(id), "heard");
  });
  await method(sdk, "getWorkflowInstanceId, getCurrentUtcDateTime, isReplaying", async () => {
    equal(await output(await client.scheduleNewWorkflow(replays)), true);
  });
  await method(sdk, "callActivity fails", async () => {
    const state = await finish(await client.scheduleNewWorkflow(fails), FAILED);
    if (!JSON.stringify(state.workflowFailureDetails ?? state).includes("so it goes")) throw new Error("the cause is lost");
    equal(await output(await client.scheduleNewWorkflow(compensates)), "compensated: true");
  });
  await method(sdk, "callChildWorkflow, callSubWorkflow", async () => {
    const id = newId("parent");
    equal(await output(await client.scheduleNewWorkflow(parent, `${id}-child`, id)), [6, 7, id]);
    equal(await status(`${id}-child`), COMPLETED);
  });
  await method(sdk, "createTimer", async () => {
    const took = await output(await client.scheduleNewWorkflow(timers));
    if (took < 300 || took > 10_000) throw new Error(`${took} ms`);
  });
  await method(sdk, "whenAny", async () => {
    const id = await client.scheduleNewWorkflow(race);
    await client.raiseEvent(id, "go", "fast");
    equal(await output(id), "event fast");
  });
  await method(sdk, "whenAll", async () => {
    equal(await output(await client.scheduleNewWorkflow(fanOut, 20)), 20);
  });
  // The SDK drops what it is sent beyond 110 items at once, so the daemon must not send so many.
  await method(sdk, "whenAll of 500 activities", async () => {
    equal(await output(await client.scheduleNewWorkflow(fanOut, 500)), 500);
  });
  await method(sdk, "continueAsNew", async () => {
    const id = await client.scheduleNewWorkflow(generations, []);
    for (const n of [1, 2, 3]) await client.raiseEvent(id, "item", n);
    equal(await output(id), [1, 2, 3]);
  });
  await method(sdk, "setCustomStatus", async () => {
    const id = await client.scheduleNewWorkflow(ownStatus);
    equal((await client.getWorkflowState(id, true)).customStatus, "half way");
    await client.raiseEvent(id, "go");
    await finish(id);
  });
  await method(sdk, "100 instances at once", async () => {
    const ids = await Promise.all(Array.from({ length: 100 }, (_, n) => client.scheduleNewWorkflow(chain, n + 1)));
    equal(await Promise.all(ids.map(output)), ids.map((_, n) => n + 6));
  });
  await client.stop();
}

const worker = runtime();
await worker.start();
await guide();
await remote();
await worker.stop();
process.exit(failed ? 1 : 0);
