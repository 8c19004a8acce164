// The management guide's Go methods: DaprClient's ...WorkflowBeta1 of go-sdk v1.12.0, the last that has them.
//
// state.go has those of the state API. The daemon itself hosts the workflow. Tells what it saw in lines of JSON, like tests/sdk/report.py.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	dapr "github.com/dapr/go-sdk/client"
)

const (
	component = "dapr"
	name      = "NativeOrder"
	within    = 30 * time.Second
)

var failed = false

func version() string {
	build, _ := debug.ReadBuildInfo()
	for _, each := range build.Deps {
		if each.Path == "github.com/dapr/go-sdk" {
			return each.Version
		}
	}
	return "?"
}

func method(name string, scenario func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	row := map[string]string{"sdk": "Go go-sdk " + version() + " client", "method": name, "result": "passed", "detail": ""}
	if err := scenario(ctx); err != nil {
		failed = true
		row["result"], row["detail"] = "FAILED", err.Error()
	}
	line, _ := json.Marshal(map[string]any{"row": row})
	fmt.Println(string(line))
}

type guide struct{ dapr.Client }

func (g guide) start(ctx context.Context) (string, error) {
	started, err := g.StartWorkflowBeta1(ctx, &dapr.StartWorkflowRequest{
		WorkflowComponent: component,
		WorkflowName:      name,
		Input:             map[string]any{"Name": "Paperclips", "Quantity": 4},
	})
	if err != nil {
		return "", err
	}
	return started.InstanceID, g.reaches(ctx, started.InstanceID, "RUNNING")
}

func (g guide) get(ctx context.Context, id string) (*dapr.GetWorkflowResponse, error) {
	return g.GetWorkflowBeta1(ctx, &dapr.GetWorkflowRequest{InstanceID: id, WorkflowComponent: component})
}

func (g guide) reaches(ctx context.Context, id string, status string) error {
	for {
		got, err := g.get(ctx, id)
		if err != nil {
			return err
		}
		if got.RuntimeStatus == status {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s, not %s", got.RuntimeStatus, status)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// with runs steps on a new instance until one fails.
func (g guide) with(steps ...func(context.Context, string) error) func(context.Context) error {
	return func(ctx context.Context) error {
		id, err := g.start(ctx)
		for _, step := range steps {
			if err == nil {
				err = step(ctx, id)
			}
		}
		return err
	}
}

func (g guide) is(status string) func(context.Context, string) error {
	return func(ctx context.Context, id string) error { return g.reaches(ctx, id, status) }
}

func (g guide) pause(ctx context.Context, id string) error {
	return g.PauseWorkflowBeta1(ctx, &dapr.PauseWorkflowRequest{InstanceID: id, WorkflowComponent: component})
}

func (g guide) resume(ctx context.Context, id string) error {
	return g.ResumeWorkflowBeta1(ctx, &dapr.ResumeWorkflowRequest{InstanceID: id, WorkflowComponent: component})
}

func (g guide) raise(ctx context.Context, id string) error {
	return g.RaiseEventWorkflowBeta1(ctx, &dapr.RaiseEventWorkflowRequest{
		InstanceID: id, WorkflowComponent: component, EventName: "go", EventData: "ahead",
	})
}

func (g guide) terminate(ctx context.Context, id string) error {
	return g.TerminateWorkflowBeta1(ctx, &dapr.TerminateWorkflowRequest{InstanceID: id, WorkflowComponent: component})
}

func (g guide) purge(ctx context.Context, id string) error {
	return g.PurgeWorkflowBeta1(ctx, &dapr.PurgeWorkflowRequest{InstanceID: id, WorkflowComponent: component})
}

func (g guide) described(ctx context.Context, id string) error {
	got, err := g.get(ctx, id)
	if err != nil {
		return err
	}
	if got.WorkflowName != name || time.Since(got.CreatedAt) > time.Minute || got.Properties["dapr.workflow.input"] == "" {
		return fmt.Errorf("%+v", got)
	}
	return nil
}

func main() {
	client, err := dapr.NewClientWithPort(os.Getenv("DAPR_GRPC_PORT"))
	if err != nil {
		panic(err)
	}
	defer client.Close()
	g := guide{client}
	method("StartWorkflow", g.with())
	method("GetWorkflow", g.with(g.described))
	method("PauseWorkflow", g.with(g.pause, g.is("SUSPENDED")))
	method("ResumeWorkflow", g.with(g.pause, g.resume, g.is("RUNNING")))
	method("RaiseEventWorkflow", g.with(g.raise, g.is("COMPLETED")))
	method("TerminateWorkflow", g.with(g.terminate, g.is("TERMINATED")))
	method("PurgeWorkflow", g.with(g.terminate, g.is("TERMINATED"), g.purge, g.is("")))
	g.states()
	if failed {
		os.Exit(1)
	}
}
