// The state API through Dapr's JavaScript SDK, over HTTP and over gRPC, as the quickstarts use it.
//
// Tells what it saw in lines of JSON, like the scenario programs in Python (tests/sdk/report.py).

import { readFileSync } from "node:fs";
import { CommunicationProtocolEnum, DaprClient } from "@dapr/dapr";

const { version } = JSON.parse(readFileSync(new URL("node_modules/@dapr/dapr/package.json", import.meta.url)));
const store = "statestore";
let failed = 0;

function equal(found, expected) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${a}, not ${b}`);
}

const newKey = () => `js-${crypto.randomUUID().slice(0, 8)}`;

async function saveAndGet({ state }) {
  const key = newKey();
  await state.save(store, [{ key, value: { name: "cars", quantity: 100 } }]);
  equal(await state.get(store, key), { name: "cars", quantity: 100 });
}

async function update({ state }) {
  const key = newKey();
  await state.save(store, [{ key, value: 1 }]);
  await state.save(store, [{ key, value: 2 }]);
  equal(await state.get(store, key), 2);
}

async function bulk({ state }) {
  const keys = [newKey(), newKey()];
  await state.save(store, keys.map((key, i) => ({ key, value: `v${i}` })));
  const found = await state.getBulk(store, keys);
  equal(Object.fromEntries(found.map((each) => [each.key, each.data])), { [keys[0]]: "v0", [keys[1]]: "v1" });
  equal(found.every((each) => each.etag), true);
}

async function transaction({ state }) {
  const [one, two] = [newKey(), newKey()];
  await state.save(store, [{ key: two, value: "old" }]);
  await state.transaction(store, [
    { operation: "upsert", request: { key: one, value: "new" } },
    { operation: "delete", request: { key: two } },
  ]);
  equal(await state.get(store, one), "new");
  equal((await state.get(store, two)) || "", "");
}

async function remove({ state }) {
  const key = newKey();
  await state.save(store, [{ key, value: "x" }]);
  await state.delete(store, key);
  equal((await state.get(store, key)) || "", "");
}

const doors = [
  ["HTTP", CommunicationProtocolEnum.HTTP, process.env.DAPR_HTTP_PORT],
  ["gRPC", CommunicationProtocolEnum.GRPC, process.env.DAPR_GRPC_PORT],
];
for (const [door, communicationProtocol, daprPort] of doors) {
  const client = new DaprClient({ daprHost: "127.0.0.1", daprPort, communicationProtocol });
  for (const scenario of [saveAndGet, update, bulk, transaction, remove]) {
    let [result, detail] = ["passed", ""];
    try {
      await scenario(client);
    } catch (error) {
      failed += 1;
      console.error(error);
      [result, detail] = ["FAILED", String(error)];
    }
    const sdk = `JavaScript @dapr/dapr ${version} state over ${door}`;
    console.log(JSON.stringify({ row: { sdk, method: scenario.name, result, detail } }));
  }
  await client.stop();
}
process.exit(failed ? 1 : 0);
