"""One of two apps with Dapr's Python SDK that call each other (`sdk_apps.py`).

Takes its app id, the gRPC ports of shop and bank, and a name for the report.

`shop` does what is to be seen and tells of each method; `bank` serves it.
"""
# mypy: ignore-errors
# The SDK lives in an environment of its own, where mypy does not look.

import sys
import threading
import time
from datetime import timedelta

import dapr.ext.workflow as wf
from report import Report  # beside this file, which is no package

WITHIN_S = 60
ME = sys.argv[1]
PORTS = {"shop": sys.argv[2], "bank": sys.argv[3]}
runtime = wf.WorkflowRuntime(host="127.0.0.1", port=PORTS[ME])


# Of the bank. The shop has a `charge` too, which is another one.


@runtime.activity
def charge(ctx, amount):
    return f"{ME} charged {amount}"


@runtime.workflow
def transfer(ctx, amount):
    approved = yield ctx.wait_for_external_event("approved")
    note = yield ctx.call_activity(charge, input=amount)
    return f"{note} for {approved}"


@runtime.workflow
def waiting(ctx, _):
    yield ctx.wait_for_external_event("never")


if ME == "bank":
    tries = {}

    @runtime.activity
    def unsure(ctx, what):
        tries[ctx.workflow_id] = tries.get(ctx.workflow_id, 0) + 1
        if what == "always" or tries[ctx.workflow_id] < 3:
            raise ValueError(f"try {tries[ctx.workflow_id]}")
        return tries[ctx.workflow_id]


# Of the shop.

if ME == "shop":

    @runtime.workflow
    def order(ctx, amount):
        theirs = yield ctx.call_activity("charge", input=amount, app_id="bank")
        mine = yield ctx.call_activity("charge", input=amount)
        return [theirs, mine]

    @runtime.workflow
    def many(ctx, number):
        results = yield wf.when_all([ctx.call_activity("charge", input=each, app_id="bank") for each in range(number)])
        return len(set(results))

    @runtime.workflow
    def insists(ctx, what):
        policy = wf.RetryPolicy(first_retry_interval=timedelta(milliseconds=20), max_number_of_attempts=4)
        try:
            result = yield ctx.call_activity("unsure", input=what, retry_policy=policy, app_id="bank")
        except Exception as error:
            return str(error)
        return result

    @runtime.workflow
    def pays(ctx, given):
        child = ctx.call_child_workflow("transfer", input=given["amount"], instance_id=given["child"], app_id="bank")
        result = yield child
        return result

    @runtime.workflow
    def hopes(ctx, child_id):
        yield ctx.call_child_workflow("waiting", instance_id=child_id, app_id="bank")


def client_of(app_id):
    return wf.DaprWorkflowClient(host="127.0.0.1", port=PORTS[app_id])


def output(client, instance_id):
    state = client.wait_for_workflow_completion(instance_id, timeout_in_seconds=WITHIN_S)
    assert state.runtime_status.name == "COMPLETED", state
    return state.serialized_output


def scenarios(report):
    shop, bank = client_of("shop"), client_of("bank")
    with report.method("call_activity(app_id)"):
        found = output(shop, shop.schedule_new_workflow(order, input=7))
        assert found == '["bank charged 7", "shop charged 7"]', found
    with report.method("call_activity(app_id), 50 at once"):
        assert output(shop, shop.schedule_new_workflow(many, input=50)) == "50"
    with report.method("call_activity(app_id, retry_policy)"):
        assert output(shop, shop.schedule_new_workflow(insists, input="twice")) == "3"
        found = output(shop, shop.schedule_new_workflow(insists, input="always"))
        assert "try 4" in found, found
    with report.method("call_child_workflow(app_id)"):
        parent = shop.schedule_new_workflow(pays, input={"amount": 5, "child": "transfer-1"})
        seen(bank, "transfer-1")
        assert shop.get_workflow_state("transfer-1") is None
        bank.raise_workflow_event("transfer-1", "approved", data="ann")
        assert output(shop, parent) == '"bank charged 5 for ann"'
    with report.method("one id in two apps"):
        shop.schedule_new_workflow(waiting, instance_id="same")
        bank.schedule_new_workflow(waiting, instance_id="same")
        seen(shop, "same"), seen(bank, "same")
        shop.terminate_workflow("same")
        shop.wait_for_workflow_completion("same", timeout_in_seconds=WITHIN_S)
        assert bank.get_workflow_state("same").runtime_status.name == "RUNNING"
        bank.terminate_workflow("same")
        bank.wait_for_workflow_completion("same", timeout_in_seconds=WITHIN_S)
        shop.purge_workflow("same")
        assert shop.get_workflow_state("same") is None
        assert bank.get_workflow_state("same") is not None
    with report.method("terminate_workflow, over apps"):
        parent = shop.schedule_new_workflow(hopes, input="hoped-for")
        seen(bank, "hoped-for")
        shop.terminate_workflow(parent)
        state = bank.wait_for_workflow_completion("hoped-for", timeout_in_seconds=WITHIN_S)
        assert state.runtime_status.name == "TERMINATED", state
    with report.method("purge_workflow, over apps"):
        shop.purge_workflow(parent)
        assert bank.get_workflow_state("hoped-for") is None


def seen(client, instance_id):
    """Wait until an instance runs."""
    until = time.monotonic() + WITHIN_S
    while True:
        state = client.get_workflow_state(instance_id)
        if state is not None and state.runtime_status.name == "RUNNING":
            return
        assert time.monotonic() < until, state
        time.sleep(0.02)


if __name__ == "__main__":
    runtime.start()
    if ME == "bank":
        print("ready", flush=True)
        threading.Event().wait()
    report = Report(sys.argv[4])
    scenarios(report)
    sys.stdout.flush()
    runtime.shutdown()
    sys.exit(report.failed > 0)
