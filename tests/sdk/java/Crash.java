// A worker that is left alone while its hosts are killed under it (tests/sdk/sdk_hosts.py). It has the workflows of
// sdk_crash_worker.py, and leaves a line in the file that it is given for every activity body that runs.

import io.dapr.config.Properties;
import io.dapr.durabletask.Task;
import io.dapr.workflows.Workflow;
import io.dapr.workflows.WorkflowActivity;
import io.dapr.workflows.WorkflowActivityContext;
import io.dapr.workflows.WorkflowContext;
import io.dapr.workflows.WorkflowStub;
import io.dapr.workflows.runtime.WorkflowRuntimeBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.Map;

public class Crash {
  // An activity of this SDK's version is not told its instance, so its input says it.
  public record StepInput(String instance, int n) {}

  record Step(Path bodies) implements WorkflowActivity {
    @Override
    public Object run(WorkflowActivityContext ctx) {
      StepInput given = ctx.getInput(StepInput.class);
      String line = given.instance() + " " + ctx.getTaskExecutionId() + "\n";
      try {
        Files.writeString(bodies, line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
      return given.n() + 1;
    }
  }

  static int step(WorkflowContext ctx, int n) {
    var given = new StepInput(ctx.getInstanceId(), n);
    return ctx.callActivity("step", given, Integer.class).await();
  }

  // Without an id a child of this SDK has one of its own, which does not say its parent.
  static Task<Integer> half(WorkflowContext ctx, int number) {
    String id = ctx.getInstanceId() + ":" + number;
    return ctx.callChildWorkflow(Half.class.getCanonicalName(), 10, id, Integer.class);
  }

  // This SDK knows a workflow by the name of its class.
  public static class Half implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> ctx.complete(step(ctx, ctx.getInput(Integer.class)));
    }
  }

  public static class Whole implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> {
        int n = ctx.getInput(Integer.class);
        for (int round = 0; round < 3; round++) {
          n = step(ctx, n);
        }
        ctx.createTimer(Duration.ofMillis(20)).await();
        List<Task<Integer>> children = List.of(half(ctx, 0), half(ctx, 1));
        ctx.complete(n + ctx.allOf(children).await().stream().mapToInt(Integer::intValue).sum());
      };
    }
  }

  public static void main(String[] arguments) {
    Properties properties = new Properties(Map.of(
        "dapr.grpc.port", System.getenv("DAPR_GRPC_PORT"), "dapr.http.port", System.getenv("DAPR_HTTP_PORT")));
    var builder = new WorkflowRuntimeBuilder(properties);
    builder.registerWorkflow(Whole.class).registerWorkflow(Half.class).registerActivity("step", new Step(Path.of(arguments[0])));
    builder.build().start(true);
  }
}
