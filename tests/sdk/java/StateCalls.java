// The state API through Dapr's Java SDK, as the quickstarts use it: `DaprClient`, which speaks gRPC.
//
// Tells what it saw in lines of JSON, as Scenarios.java does.

import io.dapr.client.DaprClient;
import io.dapr.client.DaprClientBuilder;
import io.dapr.client.domain.State;
import io.dapr.client.domain.StateOptions;
import io.dapr.client.domain.TransactionalStateOperation;
import io.dapr.client.domain.TransactionalStateOperation.OperationType;
import io.dapr.config.Properties;
import io.dapr.exceptions.DaprException;
import java.util.List;
import java.util.UUID;

public class StateCalls {
  static final String SDK = "Java io.dapr dapr-sdk 1.16.0 state";
  static final String STORE = "statestore";
  static final StateOptions FIRST_WRITE = new StateOptions(null, StateOptions.Concurrency.FIRST_WRITE);
  static DaprClient client;

  static String newKey() {
    return "java-" + UUID.randomUUID();
  }

  static State<String> read(String key) {
    return client.getState(STORE, key, String.class).block();
  }

  static State<String> written(String key, String value) {
    return new State<>(key, value, (String) null);
  }

  static void method(String name, Scenarios.Scenario scenario) {
    Scenarios.method(SDK, name, scenario);
  }

  static void refused(Runnable call) {
    try {
      call.run();
    } catch (DaprException error) {
      Scenarios.equal(error.getErrorCode(), "ABORTED");
      return;
    }
    throw new AssertionError("it was not refused");
  }

  static void scenarios() {
    method("saveState, getState", () -> {
      String key = newKey();
      client.saveState(STORE, key, "cars").block();
      Scenarios.equal(read(key).getValue(), "cars");
      Scenarios.equal(read(newKey()).getValue() == null, true);
    });
    method("saveState with an etag", () -> {
      String key = newKey();
      client.saveState(STORE, key, "1").block();
      String seen = read(key).getEtag();
      client.saveState(STORE, key, seen, "2", null).block();
      refused(() -> client.saveState(STORE, key, seen, "3", null).block());
      Scenarios.equal(read(key).getValue(), "2");
    });
    method("saveState, first write", () -> {
      String key = newKey();
      client.saveState(STORE, key, null, "1", FIRST_WRITE).block();
      refused(() -> client.saveState(STORE, key, null, "2", FIRST_WRITE).block());
    });
    method("saveBulkState, getBulkState", () -> {
      List<String> keys = List.of(newKey(), newKey());
      client.saveBulkState(STORE, List.of(written(keys.get(0), "a"), written(keys.get(1), "b"))).block();
      for (State<String> found : client.getBulkState(STORE, keys, String.class).block()) {
        Scenarios.equal(found.getValue(), found.getKey().equals(keys.get(0)) ? "a" : "b");
      }
    });
    method("executeStateTransaction", () -> {
      String kept = newKey();
      String gone = newKey();
      client.saveState(STORE, gone, "1").block();
      client.executeStateTransaction(STORE, List.of(
          new TransactionalStateOperation<>(OperationType.UPSERT, written(kept, "2")),
          new TransactionalStateOperation<>(OperationType.DELETE, new State<>(gone)))).block();
      Scenarios.equal(read(kept).getValue(), "2");
      Scenarios.equal(read(gone).getValue() == null, true);
    });
    method("deleteState", () -> {
      String key = newKey();
      client.saveState(STORE, key, "1").block();
      refused(() -> client.deleteState(STORE, key, "no such etag", null).block());
      client.deleteState(STORE, key).block();
      Scenarios.equal(read(key).getValue() == null, true);
    });
  }

  public static void main(String[] arguments) throws Exception {
    var builder = new DaprClientBuilder()
        .withPropertyOverride(Properties.GRPC_PORT, System.getenv("DAPR_GRPC_PORT"))
        .withPropertyOverride(Properties.HTTP_PORT, System.getenv("DAPR_HTTP_PORT"));
    try (DaprClient made = builder.build()) {
      client = made;
      scenarios();
    }
    System.exit(Scenarios.failed ? 1 : 0);
  }
}
