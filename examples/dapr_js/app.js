// An order, written for Dapr Workflow with Dapr's own SDK, and run against Perdure without a change.
//
// The shop reserves the goods, waits for the approval of large orders, charges and ships. Workflows and activities are
// hosted over gRPC (WorkflowRuntime), and instances are managed over gRPC (DaprWorkflowClient) and over HTTP
// (DaprClient.workflow). This file has no code for Perdure: `perdure run` takes the place of Dapr's sidecar.

import { DaprClient, DaprWorkflowClient, WorkflowRuntime } from "@dapr/dapr";

const LARGE = 1000; // such amounts and larger ones need an approval
const THREE_DAYS_S = 3 * 24 * 3600;

// Decides only: it is run again from its first line after each event, so it has no effects of its own.
async function* orderProcessing(ctx, order) {
  yield ctx.callActivity(reserve, order);
  if (order.total >= LARGE) {
    ctx.setCustomStatus("waiting for approval");
    const approval = ctx.waitForExternalEvent("approval");
    const deadline = ctx.createTimer(THREE_DAYS_S); // it survives a restart of the daemon or of this app
    const winner = yield ctx.whenAny([approval, deadline]);
    if (winner === deadline || !approval.getResult().approved) {
      yield ctx.callActivity(release, order);
      return "refused";
    }
  }
  yield ctx.callActivity(charge, order);
  // Independent of each other, so both run at the same time.
  yield ctx.whenAll([ctx.callActivity(ship, order), ctx.callActivity(sendReceipt, order)]);
  return "shipped";
}

// The activities: ordinary code. After a crash an activity may run again.
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
  // It may arrive before the workflow waits for it: events are kept.
  if (approved !== undefined) await workflows.raiseEvent(id, "approval", { approved });
  const state = await workflows.waitForWorkflowCompletion(id, true, 30);
  console.log(`${id}: ${state.serializedOutput}`);
  return id;
}

await place({ name: "paperclips", quantity: 4, total: 99.95 });
await place({ name: "desks", quantity: 2, total: 2400 }, true);
const last = await place({ name: "yachts", quantity: 1, total: 1_000_000 }, false);

// The same instance over the HTTP API.
const dapr = new DaprClient(overHttp);
const seen = await dapr.workflow.getWorkflowState(last);
console.log(`over HTTP: ${seen.workflowName} is ${seen.runtimeStatus}`);

await dapr.stop();
await workflows.stop();
await runtime.stop();
process.exit(0);
