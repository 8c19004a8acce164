"""Random events by hypothesis: every type, every field, any text."""

from typing import Any

from hypothesis import strategies as st

from perdure import FailureDetails
from perdure.runtime.history.event import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    DetachedCreated,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    Parent,
    PatchesApplied,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)

names = st.text(max_size=12)
payloads = st.none() | st.text(max_size=30)
ids = st.integers(0, 2**31)
dates_us = st.integers(-(2**62), 2**62)
failures = st.builds(
    FailureDetails,
    error_type=names,
    message=names,
    stack_trace=payloads,
    inner=st.none() | st.builds(FailureDetails, error_type=names, message=names),
    non_retriable=st.booleans(),
)
packed_failures = failures.map(FailureDetails.pack)
parents = st.builds(Parent, names, names, ids, names)

# Fields that only remote workers fill, by name.
REMOTE = {
    "wire": st.none() | st.binary(max_size=8),
    "key": st.none() | st.binary(max_size=16),
    "propagated": st.none() | st.binary(max_size=8),
    "trace": st.none() | st.tuples(names, names, st.none() | names),
    "propagation": st.integers(0, 2),
    "reason": st.integers(0, 2),
    "target_app": payloads,
    "rerun_of": payloads,
    "task_execution_id": payloads,
    "execution_id": payloads,
    "version": payloads,
    "start_at_us": st.none() | dates_us,
    "began_us": st.none() | dates_us,
    "repair": payloads,
    "parent_app": payloads,
}


def build(event_type: Any, *given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Events of a type, with the fields that are not given as a remote worker may fill them."""
    return st.builds(event_type, *given, *(REMOTE[name] for name in event_type._fields[len(given) :]))


arrivals = st.one_of(
    build(ExecutionStarted, names, payloads, names, st.none() | parents, st.none() | dates_us, payloads),
    build(ExecutionTerminated, payloads, st.booleans()),
    build(ExecutionSuspended, payloads),
    build(ExecutionResumed, payloads),
    build(ExecutionStalled, names),
    build(TaskCompleted, ids, payloads),
    build(TaskFailed, ids, packed_failures),
    build(ChildCompleted, ids, payloads),
    build(ChildFailed, ids, st.none() | packed_failures),
    build(TimerFired, ids, dates_us),
    build(EventRaised, names, payloads),
)
commands = st.one_of(
    build(PatchesApplied, st.lists(names, max_size=3).map(tuple)),
    build(TaskScheduled, ids, names, payloads, names),
    build(ChildCreated, ids, names, names, payloads, st.booleans(), payloads),
    build(DetachedCreated, ids, names, names, payloads),
    build(EventSent, ids, names, names, payloads),
    build(TimerCreated, ids, dates_us, st.integers(0, 3), payloads),
    build(ExecutionCompleted, ids, st.integers(0, 8), payloads, st.none() | packed_failures),
)
events = arrivals | commands
