// Dapr's Java workflow SDK, client and worker, with the methods of the management guide.
//
// Tells what it saw in lines of JSON, like the scenario programs in Python (tests/sdk/report.py).

import io.dapr.config.Properties;
import io.dapr.durabletask.Task;
import io.dapr.durabletask.TaskCanceledException;
import io.dapr.durabletask.TaskFailedException;
import io.dapr.workflows.Workflow;
import io.dapr.workflows.WorkflowActivity;
import io.dapr.workflows.WorkflowActivityContext;
import io.dapr.workflows.WorkflowStub;
import io.dapr.workflows.WorkflowTaskOptions;
import io.dapr.workflows.WorkflowTaskRetryPolicy;
import io.dapr.workflows.client.DaprWorkflowClient;
import io.dapr.workflows.client.NewWorkflowOptions;
import io.dapr.workflows.client.WorkflowInstanceStatus;
import io.dapr.workflows.client.WorkflowRuntimeStatus;
import io.dapr.workflows.runtime.WorkflowRuntimeBuilder;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeoutException;

public class Scenarios {
  static final String SDK = "Java io.dapr dapr-sdk-workflows 1.16.0";
  static final Duration WITHIN = Duration.ofSeconds(30);
  static boolean failed = false;

  interface Scenario {
    void run() throws Exception;
  }

  static void method(String name, Scenario scenario) {
    method(SDK, name, scenario);
  }

  static void method(String sdk, String name, Scenario scenario) {
    String result = "passed";
    String detail = "";
    try {
      scenario.run();
    } catch (Throwable error) {
      error.printStackTrace();
      failed = true;
      result = "FAILED";
      detail = error.toString();
    }
    System.out.printf("{\"row\": {\"sdk\": %s, \"method\": %s, \"result\": %s, \"detail\": %s}}%n",
        quoted(sdk), quoted(name), quoted(result), quoted(detail));
  }

  static String quoted(String text) {
    return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"").replaceAll("\\s+", " ") + "\"";
  }

  static void equal(Object found, Object expected) {
    if (!expected.equals(found)) {
      throw new AssertionError(found + ", not " + expected);
    }
  }

  // The worker.

  public static class PlusOne implements WorkflowActivity {
    @Override
    public Object run(WorkflowActivityContext ctx) {
      return ctx.getInput(Integer.class) + 1;
    }
  }

  public static class Breaks implements WorkflowActivity {
    @Override
    public Object run(WorkflowActivityContext ctx) {
      throw new IllegalStateException("no money");
    }
  }

  public static class Chain implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> {
        int n = ctx.getInput(Integer.class);
        for (int i = 0; i < 5; i++) {
          n = ctx.callActivity(PlusOne.class.getCanonicalName(), n, Integer.class).await();
        }
        ctx.complete(n);
      };
    }
  }

  public static class Waits implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> {
        ctx.setCustomStatus("waiting");
        ctx.complete(ctx.waitForExternalEvent("TestEvent", WITHIN, String.class).await());
      };
    }
  }

  public static class Hears implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> ctx.complete(ctx.waitForExternalEvent("TestEvent", String.class).await());
    }
  }

  public static class Race implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> {
        Task<Void> timer = ctx.createTimer(Duration.ofHours(1));
        Task<String> event = ctx.waitForExternalEvent("TestEvent", String.class);
        ctx.complete(ctx.anyOf(timer, event).await() == event ? event.await() : "timer");
      };
    }
  }

  public static class Echoes implements WorkflowActivity {
    @Override
    public Object run(WorkflowActivityContext ctx) {
      return ctx.getInput(String.class);
    }
  }

  // What the context gives is the same in a replay: after each activity the code runs again from its first line.
  public static class Replays implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> {
        boolean same = ctx.getName().equals(Replays.class.getCanonicalName());
        boolean replayed = false;
        for (int n = 0; n < 3; n++) {
          String seen = ctx.getInstanceId() + ctx.getCurrentInstant() + ctx.newUuid();
          replayed = replayed || ctx.isReplaying();
          same = same && seen.equals(ctx.callActivity(Echoes.class.getCanonicalName(), seen, String.class).await());
        }
        ctx.complete(same && replayed && !ctx.newUuid().equals(ctx.newUuid()));
      };
    }
  }

  public static class WaitsInVain implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> {
        try {
          ctx.waitForExternalEvent("never", Duration.ofMillis(200), String.class).await();
          ctx.complete("heard");
        } catch (TaskCanceledException late) {
          ctx.complete("timed out");
        }
      };
    }
  }

  public static class FanOut implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> {
        List<Task<Integer>> tasks = new ArrayList<>();
        for (int n = 0; n < 100; n++) {
          tasks.add(ctx.callActivity(PlusOne.class.getCanonicalName(), n, Integer.class));
        }
        ctx.complete(ctx.allOf(tasks).await().stream().mapToInt(Integer::intValue).sum());
      };
    }
  }

  public static class Parent implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> {
        String chain = Chain.class.getCanonicalName();
        int own = ctx.callChildWorkflow(chain, 1, ctx.getInstanceId() + "-child", Integer.class).await();
        ctx.complete(own + ctx.callChildWorkflow(chain, 2, Integer.class).await());
      };
    }
  }

  public static class Retries implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> {
        var policy = WorkflowTaskRetryPolicy.newBuilder()
            .setMaxNumberOfAttempts(3).setFirstRetryInterval(Duration.ofMillis(20)).build();
        try {
          ctx.callActivity(Breaks.class.getCanonicalName(), null, new WorkflowTaskOptions(policy)).await();
        } catch (TaskFailedException error) {
          ctx.complete(error.getErrorDetails().getErrorMessage());
        }
      };
    }
  }

  public static class Fails implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> ctx.callActivity(Breaks.class.getCanonicalName()).await();
    }
  }

  public static class Sleeps implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> {
        ctx.createTimer(Duration.ofMillis(300)).await();
        ctx.complete("slept");
      };
    }
  }

  public static class Generations implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> {
        int n = ctx.getInput(Integer.class);
        n = ctx.callActivity(PlusOne.class.getCanonicalName(), n, Integer.class).await();
        if (n < 4) {
          ctx.continueAsNew(n);
        } else {
          ctx.complete(n);
        }
      };
    }
  }

  // The client.

  static DaprWorkflowClient client;

  static WorkflowInstanceStatus finish(String id, WorkflowRuntimeStatus status) throws TimeoutException {
    WorkflowInstanceStatus state = client.waitForInstanceCompletion(id, WITHIN, true);
    equal(state.getRuntimeStatus(), status);
    return state;
  }

  // null since 1.17; before, something without a name.
  static boolean isNobody(WorkflowInstanceStatus state) {
    return state == null || state.getName() == null || state.getName().isEmpty();
  }

  static <T> T run(Class<? extends Workflow> workflow, Object input, Class<T> type) throws TimeoutException {
    return finish(client.scheduleNewWorkflow(workflow, input), WorkflowRuntimeStatus.COMPLETED).readOutputAs(type);
  }

  // The state of an instance in JSON, for what the SDK's client does not show.
  static String overHttp(String id) throws Exception {
    URI address = URI.create("http://127.0.0.1:" + System.getenv("DAPR_HTTP_PORT") + "/v1.0/workflows/dapr/" + id);
    HttpRequest request = HttpRequest.newBuilder(address).build();
    return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
  }

  static void scenarios() {
    method("scheduleNewWorkflow", () -> {
      equal(run(Chain.class, 1, Integer.class), 6);
      String id = "java-" + UUID.randomUUID();
      equal(client.scheduleNewWorkflow(Chain.class, 1, id), id);
      finish(id, WorkflowRuntimeStatus.COMPLETED);
      String given = "java-" + UUID.randomUUID();
      equal(client.scheduleNewWorkflow(Chain.class, new NewWorkflowOptions().setInstanceId(given).setInput(1)), given);
    });
    method("getInstanceState", () -> {
      String id = client.scheduleNewWorkflow(Chain.class, 1);
      finish(id, WorkflowRuntimeStatus.COMPLETED);
      WorkflowInstanceStatus state = client.getInstanceState(id, true);
      equal(state.getName(), Chain.class.getCanonicalName());
      equal(state.readInputAs(Integer.class), 1);
      equal(isNobody(client.getInstanceState("nobody", true)), true);
    });
    method("waitForInstanceStart", () -> {
      String id = client.scheduleNewWorkflow(Waits.class);
      equal(client.waitForInstanceStart(id, WITHIN, true).getRuntimeStatus(), WorkflowRuntimeStatus.RUNNING);
    });
    method("waitForInstanceCompletion", () -> {
      String id = client.scheduleNewWorkflow(Waits.class);
      try {
        client.waitForInstanceCompletion(id, Duration.ofSeconds(1), true);
      } catch (TimeoutException late) {
        return;
      }
      throw new AssertionError("it did not time out");
    });
    method("raiseEvent", () -> {
      String id = client.scheduleNewWorkflow(Waits.class);
      client.raiseEvent(id, "TestEvent", "TestEventPayload");
      equal(finish(id, WorkflowRuntimeStatus.COMPLETED).readOutputAs(String.class), "TestEventPayload");
    });
    method("suspendWorkflow, resumeWorkflow", () -> {
      String id = client.scheduleNewWorkflow(Waits.class);
      client.suspendWorkflow(id, "lunch");
      equal(client.getInstanceState(id, false).getRuntimeStatus(), WorkflowRuntimeStatus.SUSPENDED);
      client.resumeWorkflow(id, "back");
      client.raiseEvent(id, "TestEvent", "x");
      finish(id, WorkflowRuntimeStatus.COMPLETED);
    });
    method("terminateWorkflow", () -> {
      String id = client.scheduleNewWorkflow(Waits.class);
      client.terminateWorkflow(id, Map.of("why", "enough"));
      equal(finish(id, WorkflowRuntimeStatus.TERMINATED).getSerializedOutput(), "{\"why\":\"enough\"}");
    });
    method("purgeInstance", () -> {
      String id = client.scheduleNewWorkflow(Chain.class, 1);
      finish(id, WorkflowRuntimeStatus.COMPLETED);
      equal(client.purgeInstance(id), true);
      equal(isNobody(client.getInstanceState(id, false)), true);
    });
    method("callActivity", () -> equal(run(Chain.class, 1, Integer.class), 6));
    method("waitForExternalEvent", () -> {
      String id = client.scheduleNewWorkflow(Hears.class);
      client.raiseEvent(id, "TestEvent", "heard");
      equal(finish(id, WorkflowRuntimeStatus.COMPLETED).readOutputAs(String.class), "heard");
    });
    method("setCustomStatus", () -> {
      String id = client.scheduleNewWorkflow(Waits.class);
      client.waitForInstanceStart(id, WITHIN, true);
      equal(overHttp(id).contains("\"dapr.workflow.custom_status\":\"\\\"waiting\\\"\""), true);
    });
    method("getInstanceId, getName, getCurrentInstant, newUuid, isReplaying",
        () -> equal(run(Replays.class, null, Boolean.class), true));
    method("anyOf", () -> {
      String id = client.scheduleNewWorkflow(Race.class);
      client.raiseEvent(id, "TestEvent", "first");
      equal(finish(id, WorkflowRuntimeStatus.COMPLETED).readOutputAs(String.class), "first");
    });
    method("allOf", () -> equal(run(FanOut.class, null, Integer.class), 5050));
    method("callChildWorkflow", () -> equal(run(Parent.class, null, Integer.class), 13));
    method("callActivity with retries", () -> equal(run(Retries.class, null, String.class).contains("no money"), true));
    method("callActivity fails", () -> {
      var state = finish(client.scheduleNewWorkflow(Fails.class), WorkflowRuntimeStatus.FAILED);
      equal(state.getFailureDetails().getErrorMessage().contains("no money"), true);
    });
    method("createTimer", () -> equal(run(Sleeps.class, null, String.class), "slept"));
    method("waitForExternalEvent times out", () -> equal(run(WaitsInVain.class, null, String.class), "timed out"));
    method("continueAsNew", () -> equal(run(Generations.class, 0, Integer.class), 4));
  }

  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties(Map.of(
        "dapr.grpc.port", System.getenv("DAPR_GRPC_PORT"), "dapr.http.port", System.getenv("DAPR_HTTP_PORT")));
    var builder = new WorkflowRuntimeBuilder(properties);
    for (Class<? extends Workflow> each : List.of(Chain.class, Waits.class, Hears.class, Race.class, Replays.class, WaitsInVain.class, FanOut.class, Parent.class,
        Retries.class, Fails.class, Sleeps.class, Generations.class)) {
      builder.registerWorkflow(each);
    }
    builder.registerActivity(PlusOne.class).registerActivity(Breaks.class).registerActivity(Echoes.class);
    try (var runtime = builder.build()) {
      runtime.start(false);
      client = new DaprWorkflowClient(properties);
      scenarios();
      client.close();
    }
    System.exit(failed ? 1 : 0);
  }
}
