// An order, written for Dapr Workflow with Dapr's own SDK, and run against Perdure without a change.
//
// The shop reserves the goods, has a person look at large orders, charges and ships. Workflows and activities are hosted
// over gRPC (WorkflowRuntime), instances are managed over gRPC (DaprWorkflowClient) and over HTTP (DaprClient.workflow).
// Nothing in this file knows Perdure: `perdure run` is where Dapr's sidecar would be.

import { DaprClient, DaprWorkflowClient, WorkflowRuntime } from "@dapr/dapr";

const LARGE = 1000; // from here on a person decides
const THREE_DAYS_S = 3 * 24 * 3600;

// Decides. Runs again from its first line whenever something has happened, so it does nothing itself.
async function* orderProcessing(ctx, order) {
  yield ctx.callActivity(reserve, order);
  if (order.total >= LARGE) {
    ctx.setCustomStatus("waiting for approval");
    const approval = ctx.waitForExternalEvent("approval");
    const deadline = ctx.createTimer(THREE_DAYS_S); // a restart of the daemon or of this app does not matter
    const winner = yield ctx.whenAny([approval, deadline]);
    if (winner === deadline || !approval.getResult().approved) {
      yield ctx.callActivity(release, order);
      return "refused";
    }
  }
  yield ctx.callActivity(charge, order);
  // Independent of each other, so both at once.
  yield ctx.whenAll([ctx.callActivity(ship, order), ctx.callActivity(sendReceipt, order)]);
  return "shipped";
}

// Do. Ordinary code; after a crash one may run again.
const reserve = async (_, order) => console.log(`reserve ${order.quantity} ${order.name}`);
const release = async (_, order) => console.log(`release ${order.quantity} ${order.name}`);
const charge = async (_, order) => console.log(`charge ${order.total}`);
const ship = async (_, order) => console.log(`ship ${order.quantity} ${order.name}`);
const sendReceipt = async (_, order) => console.log(`receipt for ${order.total}`);

const host = "127.0.0.1";
const overRpc = { daprHost: host, daprPort: process.env.DAPR_GRPC_PORT ?? "50001" };
const overHttp = { daprHost: host, daprPort: process.env.DAPR_HTTP_PORT ?? "3500" };

const runtime = new WorkflowRuntime(overRpc);
runtime.registerWorkflow(orderProcessing);
for (const activity of [reserve, release, charge, ship, sendReceipt]) runtime.registerActivity(activity);
await runtime.start();

const workflows = new DaprWorkflowClient(overRpc);

async function place(order, approved) {
  const id = await workflows.scheduleNewWorkflow(orderProcessing, order);
  // It may come before the workflow waits for it: events are kept.
  if (approved !== undefined) await workflows.raiseEvent(id, "approval", { approved });
  const state = await workflows.waitForWorkflowCompletion(id, true, 30);
  console.log(`${id}: ${state.serializedOutput}`);
  return id;
}

await place({ name: "paperclips", quantity: 4, total: 99.95 });
await place({ name: "desks", quantity: 2, total: 2400 }, true);
const last = await place({ name: "yachts", quantity: 1, total: 1_000_000 }, false);

// The same instance over the other API.
const dapr = new DaprClient(overHttp);
const seen = await dapr.workflow.getWorkflowState(last);
console.log(`over HTTP: ${seen.workflowName} is ${seen.runtimeStatus}`);

await dapr.stop();
await workflows.stop();
await runtime.stop();
process.exit(0);
