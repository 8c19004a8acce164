// An app with Dapr's JavaScript SDK that is left alone while its hosts are killed under it (`sdk_hosts.py`). It has the
// same workflows as `sdk_crash_worker.py`, and leaves a line in the file that it is given for every activity body that runs.

import { appendFileSync } from "node:fs";
import { WorkflowRuntime } from "@dapr/dapr";

const bodies = process.argv[2];

async function step(context, n) {
  // This SDK does not say the key of an execution.
  appendFileSync(bodies, `${context.getWorkflowInstanceId()} ${context.getWorkflowActivityId()}\n`);
  return (n ?? 0) + 1; // 0 is no input to this SDK
}

async function* half(context, n) {
  return yield context.callActivity(step, n);
}

async function* crash(context, n) {
  for (let round = 0; round < 3; round += 1) n = yield context.callActivity(step, n);
  yield context.createTimer(0.02);
  const children = yield context.whenAll([context.callChildWorkflow(half, 10), context.callChildWorkflow(half, 10)]);
  return n + children.reduce((sum, each) => sum + each, 0);
}

// The SDK begins another stream, but for the first one of a process: then this ends, and whoever has started it does so again.
const runtime = new WorkflowRuntime({ daprHost: "127.0.0.1", daprPort: process.env.DAPR_GRPC_PORT });
runtime.registerWorkflow(crash).registerWorkflow(half).registerActivity(step);
await runtime.start();
console.log("ready");
