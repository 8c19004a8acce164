"""Events as hypothesis may think them up: every type, every field, whatever text there is."""

from hypothesis import strategies as st

from perdure import FailureDetails
from perdure.runtime.event import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    EventRaised,
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

arrivals = st.one_of(
    st.builds(ExecutionStarted, names, payloads, names, st.none() | parents, st.none() | dates_us, payloads),
    st.builds(ExecutionTerminated, payloads, st.booleans()),
    st.builds(ExecutionSuspended, payloads),
    st.builds(ExecutionResumed, payloads),
    st.builds(ExecutionStalled, names),
    st.builds(TaskCompleted, ids, payloads),
    st.builds(TaskFailed, ids, packed_failures),
    st.builds(ChildCompleted, ids, payloads),
    st.builds(ChildFailed, ids, st.none() | packed_failures),
    st.builds(TimerFired, ids, dates_us),
    st.builds(EventRaised, names, payloads),
)
commands = st.one_of(
    st.builds(PatchesApplied, st.lists(names, max_size=3).map(tuple)),
    st.builds(TaskScheduled, ids, names, payloads, names),
    st.builds(ChildCreated, ids, names, names, payloads, st.booleans(), payloads),
    st.builds(TimerCreated, ids, dates_us, st.integers(0, 3), payloads),
    st.builds(ExecutionCompleted, ids, st.integers(0, 8), payloads, st.none() | packed_failures),
)
events = arrivals | commands
