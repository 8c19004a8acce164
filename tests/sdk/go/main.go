// Dapr's Go workflow SDK, client and worker: github.com/dapr/durabletask-go/workflow, which go-sdk's NewWorkflowClient is.
//
// Tells what it saw in lines of JSON, like the scenario programs in Python (tests/sdk/report.py).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/dapr/durabletask-go/api"
	"github.com/dapr/durabletask-go/workflow"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const within = 30 * time.Second

var (
	sdk    = "Go durabletask-go " + version("github.com/dapr/durabletask-go") + " workflow"
	failed = false
)

func version(module string) string {
	build, _ := debug.ReadBuildInfo()
	for _, each := range build.Deps {
		if each.Path == module {
			return each.Version
		}
	}
	return "?"
}

func method(name string, scenario func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	row := map[string]string{"sdk": sdk, "method": name, "result": "passed", "detail": ""}
	if err := scenario(ctx); err != nil {
		failed = true
		row["result"], row["detail"] = "FAILED", err.Error()
	}
	line, _ := json.Marshal(map[string]any{"row": row})
	fmt.Println(string(line))
}

// The worker.

func plusOne(ctx workflow.ActivityContext) (any, error) {
	var n int
	if err := ctx.GetInput(&n); err != nil {
		return nil, err
	}
	return n + 1, nil
}

func breaks(ctx workflow.ActivityContext) (any, error) { return nil, errors.New("no money") }

func chain(ctx *workflow.WorkflowContext) (any, error) {
	var n int
	if err := ctx.GetInput(&n); err != nil {
		return nil, err
	}
	for range 5 {
		if err := ctx.CallActivity("plusOne", workflow.WithActivityInput(n)).Await(&n); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func waits(ctx *workflow.WorkflowContext) (any, error) {
	ctx.SetCustomStatus("waiting")
	var heard string
	err := ctx.WaitForExternalEvent("go", -1).Await(&heard)
	return heard, err
}

// What the context gives is the same in a replay: after each activity the code runs again from its first line.
func replays(ctx *workflow.WorkflowContext) (any, error) {
	same, replayed := ctx.Name() == "replays", false
	for range 3 {
		seen := ctx.ID() + ctx.CurrentTimeUTC().String()
		replayed = replayed || ctx.IsReplaying()
		var echoed string
		if err := ctx.CallActivity("echoes", workflow.WithActivityInput(seen)).Await(&echoed); err != nil {
			return nil, err
		}
		same = same && echoed == seen
	}
	return same && replayed, nil
}

func echoes(ctx workflow.ActivityContext) (any, error) {
	var given string
	err := ctx.GetInput(&given)
	return given, err
}

// A child is told the history of its parent.
func lineage(ctx *workflow.WorkflowContext) (any, error) {
	if told := ctx.GetPropagatedHistory(); told != nil {
		return len(told.GetEventsByWorkflowName("lineage")) > 0, nil
	}
	var knows bool
	passed := workflow.WithHistoryPropagation(workflow.PropagateLineage())
	err := ctx.CallChildWorkflow("lineage", passed).Await(&knows)
	return knows, err
}

func waitsInVain(ctx *workflow.WorkflowContext) (any, error) {
	if err := ctx.WaitForExternalEvent("never", 200*time.Millisecond).Await(nil); err != nil {
		return "timed out", nil
	}
	return "heard", nil
}

func parent(ctx *workflow.WorkflowContext) (any, error) {
	var own, made int
	id := workflow.WithChildWorkflowInstanceID(ctx.ID() + "-child")
	if err := ctx.CallChildWorkflow("chain", workflow.WithChildWorkflowInput(1), id).Await(&own); err != nil {
		return nil, err
	}
	if err := ctx.CallChildWorkflow("chain", workflow.WithChildWorkflowInput(2)).Await(&made); err != nil {
		return nil, err
	}
	return []int{own, made}, nil
}

func fanOut(ctx *workflow.WorkflowContext) (any, error) {
	var tasks []workflow.Task
	for n := range 300 {
		tasks = append(tasks, ctx.CallActivity("plusOne", workflow.WithActivityInput(n)))
	}
	sum := 0
	for _, each := range tasks {
		var n int
		if err := each.Await(&n); err != nil {
			return nil, err
		}
		sum += n
	}
	return sum, nil
}

func retries(ctx *workflow.WorkflowContext) (any, error) {
	policy := &workflow.RetryPolicy{MaxAttempts: 3, InitialRetryInterval: 20 * time.Millisecond}
	err := ctx.CallActivity("breaks", workflow.WithActivityRetryPolicy(policy)).Await(nil)
	return nil, err
}

func sleeps(ctx *workflow.WorkflowContext) (any, error) {
	began := ctx.CurrentTimeUTC()
	if err := ctx.CreateTimer(300 * time.Millisecond).Await(nil); err != nil {
		return nil, err
	}
	return ctx.CurrentTimeUTC().Sub(began).Milliseconds(), nil
}

func generations(ctx *workflow.WorkflowContext) (any, error) {
	var seen []int
	if err := ctx.GetInput(&seen); err != nil {
		return nil, err
	}
	var n int
	if err := ctx.WaitForExternalEvent("item", -1).Await(&n); err != nil {
		return nil, err
	}
	seen = append(seen, n)
	if len(seen) < 3 {
		ctx.ContinueAsNew(seen, workflow.WithKeepUnprocessedEvents())
	}
	return seen, nil
}

func patched(ctx *workflow.WorkflowContext) (any, error) { return ctx.IsPatched("new-path"), nil }

func registry() *workflow.Registry {
	made := workflow.NewRegistry()
	workflows := map[string]workflow.Workflow{
		"chain": chain, "waits": waits, "waitsInVain": waitsInVain, "parent": parent, "fanOut": fanOut,
		"retries": retries, "sleeps": sleeps, "generations": generations, "patched": patched,
		"replays": replays, "lineage": lineage,
	}
	for name, each := range workflows {
		must(made.AddWorkflowN(name, each))
	}
	must(made.AddActivityN("plusOne", plusOne))
	must(made.AddActivityN("breaks", breaks))
	must(made.AddActivityN("echoes", echoes))
	must(made.AddVersionedWorkflowN("versioned", "v1", false, func(*workflow.WorkflowContext) (any, error) { return "v1", nil }))
	must(made.AddVersionedWorkflowN("versioned", "v2", true, func(*workflow.WorkflowContext) (any, error) { return "v2", nil }))
	return made
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// The client.

type scenarios struct{ *workflow.Client }

func (s scenarios) finish(ctx context.Context, id string, status string) (*workflow.WorkflowMetadata, error) {
	state, err := s.WaitForWorkflowCompletion(ctx, id, workflow.WithFetchPayloads(true))
	if err != nil {
		return nil, err
	}
	if state.String() != status {
		return nil, fmt.Errorf("%s, not %s: %v", state.String(), status, state.FailureDetails)
	}
	return state, nil
}

func (s scenarios) run(ctx context.Context, name string, given any, expected string) error {
	id, err := s.ScheduleWorkflow(ctx, name, workflow.WithInput(given))
	if err != nil {
		return err
	}
	state, err := s.finish(ctx, id, "COMPLETED")
	if err != nil {
		return err
	}
	return equal(state.Output.GetValue(), expected)
}

func (s scenarios) is(ctx context.Context, id string, status string) error {
	state, err := s.FetchWorkflowMetadata(ctx, id)
	if err != nil {
		return err
	}
	return equal(state.String(), status)
}

func equal(found, expected string) error {
	if found != expected {
		return fmt.Errorf("%s, not %s", found, expected)
	}
	return nil
}

func (s scenarios) all() {
	method("ScheduleWorkflow", func(ctx context.Context) error { return s.run(ctx, "chain", 1, "6") })
	method("FetchWorkflowMetadata", func(ctx context.Context) error {
		_, err := s.FetchWorkflowMetadata(ctx, "nobody")
		if !errors.Is(err, api.ErrInstanceNotFound) {
			return fmt.Errorf("of nobody: %w", err)
		}
		id, err := s.ScheduleWorkflow(ctx, "waits")
		if err != nil {
			return err
		}
		state, err := s.FetchWorkflowMetadata(ctx, id, workflow.WithFetchPayloads(true))
		if err != nil {
			return err
		}
		return equal(state.CustomStatus.GetValue(), "waiting")
	})
	method("WaitForWorkflowStart", func(ctx context.Context) error {
		id, err := s.ScheduleWorkflow(ctx, "waits")
		if err != nil {
			return err
		}
		_, err = s.WaitForWorkflowStart(ctx, id)
		return err
	})
	method("RaiseEvent", func(ctx context.Context) error {
		id, err := s.ScheduleWorkflow(ctx, "waits")
		if err != nil {
			return err
		}
		if err = s.RaiseEvent(ctx, id, "GO", workflow.WithEventPayload("ü")); err != nil {
			return err
		}
		state, err := s.finish(ctx, id, "COMPLETED")
		if err != nil {
			return err
		}
		return equal(state.Output.GetValue(), `"ü"`)
	})
	method("SuspendWorkflow, ResumeWorkflow", func(ctx context.Context) error {
		id, err := s.ScheduleWorkflow(ctx, "waits")
		if err != nil {
			return err
		}
		steps := []func() error{
			func() error { return s.SuspendWorkflow(ctx, id, "lunch") },
			func() error { return s.is(ctx, id, "SUSPENDED") },
			func() error { return s.ResumeWorkflow(ctx, id, "back") },
			func() error { return s.is(ctx, id, "RUNNING") },
			func() error { return s.RaiseEvent(ctx, id, "go", workflow.WithEventPayload("x")) },
		}
		for _, step := range steps {
			if err = step(); err != nil {
				return err
			}
		}
		_, err = s.finish(ctx, id, "COMPLETED")
		return err
	})
	method("TerminateWorkflow, PurgeWorkflowState", func(ctx context.Context) error {
		id, err := s.ScheduleWorkflow(ctx, "waits")
		if err != nil {
			return err
		}
		if err = s.TerminateWorkflow(ctx, id, workflow.WithOutput("stopped"), workflow.WithRecursiveTerminate(true)); err != nil {
			return err
		}
		if _, err = s.finish(ctx, id, "TERMINATED"); err != nil {
			return err
		}
		if err = s.PurgeWorkflowState(ctx, id, workflow.WithRecursivePurge(true)); err != nil {
			return err
		}
		// As in Dapr, which has an error for it where the SDK looks for a count of zero.
		if err = s.PurgeWorkflowState(ctx, id); err == nil || !strings.Contains(err.Error(), "no such instance exists") {
			return fmt.Errorf("a second purge: %w", err)
		}
		return nil
	})
	method("ListInstanceIDs", func(ctx context.Context) error {
		first, err := s.ListInstanceIDs(ctx, workflow.WithListInstanceIDsPageSize(2))
		if err != nil {
			return err
		}
		if len(first.InstanceIds) != 2 || first.ContinuationToken == nil {
			return fmt.Errorf("%v", first.InstanceIds)
		}
		_, err = s.ListInstanceIDs(ctx, workflow.WithListInstanceIDsContinuationToken(*first.ContinuationToken))
		return err
	})
	method("GetInstanceHistory, RerunWorkflowFromEvent", func(ctx context.Context) error {
		id, err := s.ScheduleWorkflow(ctx, "chain", workflow.WithInput(1))
		if err != nil {
			return err
		}
		if _, err = s.finish(ctx, id, "COMPLETED"); err != nil {
			return err
		}
		history, err := s.GetInstanceHistory(ctx, id)
		if err != nil {
			return err
		}
		for _, event := range history.Events {
			if event.GetTaskScheduled() != nil {
				copied, err := s.RerunWorkflowFromEvent(ctx, id, uint32(event.EventId))
				if err != nil {
					return err
				}
				_, err = s.finish(ctx, copied, "COMPLETED")
				return err
			}
		}
		return fmt.Errorf("no step in %v", history.Events)
	})
	method("WaitForWorkflowCompletion", func(ctx context.Context) error {
		id, err := s.ScheduleWorkflow(ctx, "waits")
		if err != nil {
			return err
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err = s.WaitForWorkflowCompletion(short, id); err == nil {
			return errors.New("it did not time out")
		}
		return s.TerminateWorkflow(ctx, id)
	})
	method("CallActivity", func(ctx context.Context) error { return s.run(ctx, "chain", 1, "6") })
	method("WaitForExternalEvent, SetCustomStatus", func(ctx context.Context) error {
		id, err := s.ScheduleWorkflow(ctx, "waits")
		if err != nil {
			return err
		}
		state, err := s.WaitForWorkflowStart(ctx, id)
		if err != nil {
			return err
		}
		if err = equal(state.CustomStatus.GetValue(), "waiting"); err != nil {
			return err
		}
		if err = s.RaiseEvent(ctx, id, "go", workflow.WithEventPayload("heard")); err != nil {
			return err
		}
		state, err = s.finish(ctx, id, "COMPLETED")
		if err != nil {
			return err
		}
		return equal(state.Output.GetValue(), `"heard"`)
	})
	method("ID, Name, CurrentTimeUTC, IsReplaying", func(ctx context.Context) error { return s.run(ctx, "replays", nil, "true") })
	method("GetPropagatedHistory", func(ctx context.Context) error { return s.run(ctx, "lineage", nil, "true") })
	method("CallChildWorkflow", func(ctx context.Context) error { return s.run(ctx, "parent", nil, "[6,7]") })
	method("300 activities at once", func(ctx context.Context) error { return s.run(ctx, "fanOut", nil, "45150") })
	method("WaitForExternalEvent times out", func(ctx context.Context) error { return s.run(ctx, "waitsInVain", nil, `"timed out"`) })
	method("IsPatched", func(ctx context.Context) error { return s.run(ctx, "patched", nil, "true") })
	method("AddVersionedWorkflow", func(ctx context.Context) error { return s.run(ctx, "versioned", nil, `"v2"`) })
	method("CallActivity fails, with retries", func(ctx context.Context) error {
		id, err := s.ScheduleWorkflow(ctx, "retries")
		if err != nil {
			return err
		}
		state, err := s.finish(ctx, id, "FAILED")
		if err != nil {
			return err
		}
		if !strings.Contains(state.FailureDetails.GetErrorMessage(), "no money") {
			return fmt.Errorf("the cause is lost: %v", state.FailureDetails)
		}
		return nil
	})
	method("CreateTimer", func(ctx context.Context) error {
		id, err := s.ScheduleWorkflow(ctx, "sleeps")
		if err != nil {
			return err
		}
		_, err = s.finish(ctx, id, "COMPLETED")
		return err
	})
	method("ContinueAsNew", func(ctx context.Context) error {
		id, err := s.ScheduleWorkflow(ctx, "generations", workflow.WithInput([]int{}))
		if err != nil {
			return err
		}
		for n := 1; n <= 3; n++ {
			if err = s.RaiseEvent(ctx, id, "item", workflow.WithEventPayload(n)); err != nil {
				return err
			}
		}
		state, err := s.finish(ctx, id, "COMPLETED")
		if err != nil {
			return err
		}
		return equal(state.Output.GetValue(), "[1,2,3]")
	})
}

func main() {
	address := "127.0.0.1:" + os.Getenv("DAPR_GRPC_PORT")
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	client := workflow.NewClient(connection)
	if len(os.Args) == 3 && os.Args[1] == "crash" {
		serveCrash(client, os.Args[2])
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	must(client.StartWorker(ctx, registry()))
	scenarios{client}.all()
	cancel()
	if failed {
		os.Exit(1)
	}
}
