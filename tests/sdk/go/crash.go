package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/dapr/durabletask-go/workflow"
)

// A worker that is left alone while its hosts are killed under it (sdk_hosts.py). It has the workflows of
// sdk_crash_worker.py, and leaves a line in a file for every activity body that runs.

// An activity of this SDK is not told its instance, so its input says it.
type stepInput struct {
	Instance string
	N        int
}

func stepInto(bodies string) workflow.Activity {
	return func(ctx workflow.ActivityContext) (any, error) {
		var given stepInput
		if err := ctx.GetInput(&given); err != nil {
			return nil, err
		}
		file, err := os.OpenFile(bodies, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		_, err = file.WriteString(fmt.Sprintf("%s %s\n", given.Instance, ctx.GetTaskExecutionID()))
		return given.N + 1, err
	}
}

func step(ctx *workflow.WorkflowContext, n *int) error {
	given := workflow.WithActivityInput(stepInput{Instance: ctx.ID(), N: *n})
	return ctx.CallActivity("step", given).Await(n)
}

func half(ctx *workflow.WorkflowContext) (any, error) {
	var n int
	if err := ctx.GetInput(&n); err != nil {
		return nil, err
	}
	err := step(ctx, &n)
	return n, err
}

func crash(ctx *workflow.WorkflowContext) (any, error) {
	var n int
	if err := ctx.GetInput(&n); err != nil {
		return nil, err
	}
	for range 3 {
		if err := step(ctx, &n); err != nil {
			return nil, err
		}
	}
	if err := ctx.CreateTimer(20 * time.Millisecond).Await(nil); err != nil {
		return nil, err
	}
	var children []workflow.Task
	for range 2 {
		children = append(children, ctx.CallChildWorkflow("half", workflow.WithChildWorkflowInput(10)))
	}
	for _, each := range children {
		var one int
		if err := each.Await(&one); err != nil {
			return nil, err
		}
		n += one
	}
	return n, nil
}

func serveCrash(client *workflow.Client, bodies string) {
	made := workflow.NewRegistry()
	must(made.AddWorkflowN("crash", crash))
	must(made.AddWorkflowN("half", half))
	must(made.AddActivityN("step", stepInto(bodies)))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	must(client.StartWorker(ctx, made))
	fmt.Println("ready")
	<-ctx.Done()
}
