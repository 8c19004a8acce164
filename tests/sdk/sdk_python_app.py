"""The workflows and activities of the scenarios, as an app for Dapr's Python SDK would have them.

Written for SDK 1.19 and 1.17 alike: what only one of them has is in
`sdk_python.py`, under a condition.
"""
# mypy: ignore-errors
# The SDK lives in an environment of its own, where mypy does not look.

import threading
from collections import Counter
from datetime import timedelta

import dapr.ext.workflow as wf
import grpc


class Seen(grpc.UnaryStreamClientInterceptor):
    """Reads the items that the daemon sends on the stream of work, from inside the SDK."""

    def __init__(self) -> None:
        self.full = 0
        self.deltas = 0

    def intercept_unary_stream(self, continuation, details, request):
        stream = continuation(details, request)
        return Watched(stream, self)


class Watched:
    """A stream whose items are counted as they pass."""

    def __init__(self, stream, seen: Seen) -> None:
        self._stream = stream
        self._seen = seen

    def __iter__(self):
        return self

    def __next__(self):
        item = next(self._stream)
        field = item.WhichOneof("request")
        if field not in (None, "activityRequest", "healthPing"):
            # 1.17 has no such field: whole histories, always.
            request = getattr(item, field)
            if "cachedHistory" in request.DESCRIPTOR.fields_by_name and request.HasField("cachedHistory"):
                self._seen.deltas += 1
            else:
                self._seen.full += 1
        return item

    def __getattr__(self, name):
        return getattr(self._stream, name)


SEEN = Seen()

runtime = wf.WorkflowRuntime(interceptors=[SEEN])

# How often each activity body ran, by whatever key its caller gave. Activities run in threads.
calls: Counter[str] = Counter()
_lock = threading.Lock()


def count(key: str) -> int:
    with _lock:
        calls[key] += 1
        return calls[key]


# Activities.


@runtime.activity
def plus_one(ctx, n):
    return n + 1


@runtime.activity(name="renamed")
def original_name(ctx, text):
    return f"renamed {text}"


@runtime.activity
def nothing_given(ctx):
    return "nothing was needed"


@runtime.activity
def breaks(ctx, text):
    raise ValueError(text)


@runtime.activity
def breaks_until(ctx, given):
    """Fail until the attempt with the given number."""
    tries = count(given["key"])
    if tries < given["succeeds_at"]:
        raise RuntimeError(f"try {tries}")
    return tries


@runtime.activity
def note(ctx, key):
    return count(key)


# Workflows.


@runtime.workflow
def chain(ctx, n):
    for _ in range(5):
        n = yield ctx.call_activity(plus_one, input=n)
    return n


@runtime.workflow
def plain(ctx, given=None):
    """One that awaits nothing, and is no generator."""
    return {"given": given, "id": ctx.instance_id}


@runtime.workflow
def by_name(ctx, given):
    renamed = yield ctx.call_activity("renamed", input=given)
    nothing = yield ctx.call_activity(nothing_given)
    return [renamed, nothing]


@runtime.workflow
def fan_out(ctx, width):
    results = yield wf.when_all([ctx.call_activity(plus_one, input=n) for n in range(width)])
    return sum(results)


@runtime.workflow
def fan_out_with_a_failure(ctx, _=None):
    try:
        yield wf.when_all([ctx.call_activity(plus_one, input=1), ctx.call_activity(breaks, input="one of two")])
    except wf_failure as error:
        return f"caught {error.details.error_type}"
    return "not caught"


@runtime.workflow
def race(ctx, _=None):
    timer = ctx.create_timer(timedelta(hours=1))
    event = ctx.wait_for_external_event("go")
    winner = yield wf.when_any([timer, event])
    return {"winner": "event" if winner is event else "timer", "value": event.get_result()}


@runtime.workflow
def fails(ctx, text):
    yield ctx.call_activity(breaks, input=text)


@runtime.workflow
def compensates(ctx, key):
    try:
        yield ctx.call_activity(breaks, input="no money")
    except wf_failure as error:
        undone = yield ctx.call_activity(note, input=key)
        return {"type": error.details.error_type, "message": error.details.message, "undone": undone}
    return "not caught"


def retry_policy(attempts):
    return wf.RetryPolicy(
        first_retry_interval=timedelta(milliseconds=50),
        max_number_of_attempts=attempts,
        backoff_coefficient=2,
        max_retry_interval=timedelta(seconds=1),
        retry_timeout=timedelta(seconds=30),
    )


@runtime.workflow
def retries(ctx, given):
    result = yield ctx.call_activity(breaks_until, input=given, retry_policy=retry_policy(given["attempts"]))
    return result


@runtime.workflow
def child_that_breaks_until(ctx, given):
    result = yield ctx.call_activity(breaks_until, input=given)
    return result


@runtime.workflow
def retries_a_child(ctx, given):
    result = yield ctx.call_child_workflow(child_that_breaks_until, input=given, retry_policy=retry_policy(3))
    return result


@runtime.workflow
def parent(ctx, given):
    """Three children: one with an id of its own, one without, one by its name."""
    first = yield ctx.call_child_workflow(plain, input=given, instance_id=f"{ctx.instance_id}-child")
    second = yield ctx.call_child_workflow(plain, input=given)
    third = yield ctx.call_child_workflow("chain", input=1)
    return {"first": first["id"], "second": second["id"], "third": third}


@runtime.workflow
def parent_of_a_failure(ctx, _=None):
    try:
        yield ctx.call_child_workflow(fails, input="in the child")
    except wf_failure as error:
        return f"caught {error.details.error_type}"
    return "not caught"


@runtime.workflow
def waits(ctx, _=None):
    """Run until it receives `go`."""
    value = yield ctx.wait_for_external_event("go")
    return value


@runtime.workflow
def waits_in_a_child(ctx, child_id):
    value = yield ctx.call_child_workflow(waits, instance_id=child_id)
    return value


@runtime.workflow
def three_events(ctx, _=None):
    a = yield ctx.wait_for_external_event("A")
    b = yield ctx.wait_for_external_event("B")
    c = yield ctx.wait_for_external_event("C")
    return [a, b, c]


@runtime.workflow
def timers(ctx, seconds):
    began = ctx.current_utc_datetime
    yield ctx.create_timer(timedelta(seconds=seconds))
    yield ctx.create_timer(ctx.current_utc_datetime + timedelta(seconds=seconds))
    return (ctx.current_utc_datetime - began).total_seconds()


@runtime.workflow
def generations(ctx, given):
    """Take five events, one in each generation."""
    value = yield ctx.wait_for_external_event("item")
    given["seen"].append(value)
    if len(given["seen"]) < given["until"]:
        ctx.continue_as_new(given, save_events=True)
        return None
    return given["seen"]


@runtime.workflow
def loops_with_activity(ctx, n):
    n = yield ctx.call_activity(plus_one, input=n)
    if n < 4:
        ctx.continue_as_new(n)
        return None
    return n


@runtime.workflow
def status_of_its_own(ctx, _=None):
    ctx.set_custom_status("waiting for somebody")
    yield ctx.wait_for_external_event("go")
    ctx.set_custom_status("done waiting")


@runtime.workflow
def deterministic(ctx, key):
    """What the context gives must be the same at every replay, and replaying must be told from running."""
    first = str(ctx.current_utc_datetime)
    was_replaying = ctx.is_replaying
    yield ctx.call_activity(note, input=key)
    yield ctx.create_timer(timedelta(milliseconds=10))
    return {"first": first, "was_replaying": was_replaying, "is_replaying": ctx.is_replaying}


@runtime.workflow
def patched(ctx, _=None):
    path = "new" if ctx.is_patched("faster-shipping") else "old"
    yield ctx.call_activity(plus_one, input=1)
    return path if ctx.is_patched("faster-shipping") else "old"


@runtime.versioned_workflow(name="versioned", version_name="v1", is_latest=False)
def versioned_v1(ctx, _=None):
    yield ctx.call_activity(plus_one, input=1)
    return "v1"


@runtime.versioned_workflow(name="versioned", version_name="v2", is_latest=True)
def versioned_v2(ctx, _=None):
    yield ctx.call_activity(plus_one, input=1)
    return "v2"


@runtime.workflow
def asks_for_what_nobody_has(ctx, _=None):
    yield ctx.call_activity("nobody_registered_this")


@runtime.workflow
def yields_a_number(ctx, _=None):
    yield 42


@runtime.workflow
def many_turns(ctx, turns):
    for n in range(turns):
        yield ctx.call_activity(plus_one, input=n)
    return turns


@runtime.workflow
def large(ctx, text):
    """Send a megabyte there and back, in every step of the wire."""
    echoed = yield ctx.call_activity(echo, input=text)
    return echoed


@runtime.activity
def echo(ctx, given):
    return given


def _failure_class():
    try:
        return wf.TaskFailedError  # since 1.18
    except AttributeError:
        from durabletask.task import TaskFailedError  # noqa: PLC0415  only there is it

        return TaskFailedError


wf_failure = _failure_class()
