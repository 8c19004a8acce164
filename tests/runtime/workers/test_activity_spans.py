"""Each dispatch of an activity to a worker is a span, and the worker gets its context."""

from perdure.actors.address import Address
from perdure.runtime.history.failure import FailureDetails
from perdure.runtime.instance.message import Invoke
from perdure.runtime.observing.trace_context import context_of, span_of_dispatch
from perdure.runtime.workers.activity_spans import ActivitySpans
from perdure.runtime.workers.items import ActivityAnswer
from perdure.runtime.workers.stream import Job

from ...support.workflows.told_spans import TRACE, Told

INVOKE = Invoke("pay", None, "i", "x", 1, "t", trace=TRACE)


def given(token: str, *earlier: str) -> Job:
    job = Job(Address("activity", "i::1"), INVOKE)
    job.token, job.earlier_tokens, job.sent_us, job.first_sent_us = token, earlier, 3, 1
    return job


def answer(token: str, failure: FailureDetails | None = None) -> ActivityAnswer:
    return ActivityAnswer("i", 1, token, None, failure)


def test_a_worker_is_told_the_span_that_is_made_when_it_answers() -> None:
    told = Told()
    spans = ActivitySpans(told)
    shown = context_of(spans.trace_of(INVOKE, "token"))
    spans.answered(INVOKE, given("token"), answer("token"))
    [span] = told.spans
    assert shown == span.context
    assert (span.parent, span.began_us, span.ended_us, span.error) == ("b7ad6b7169203331", 3, 5, None)


def test_an_answer_without_a_token_is_to_the_last_time() -> None:
    told = Told()
    ActivitySpans(told).answered(INVOKE, given("token"), answer(""))
    assert [span.context.span_id for span in told.spans] == [span_of_dispatch("token")]


def test_one_that_was_lost_or_has_failed_says_so() -> None:
    told = Told()
    spans = ActivitySpans(told)
    spans.lost(INVOKE, "first", 2)
    spans.answered(INVOKE, given("second"), answer("second", FailureDetails(error_type="ValueError", message="no")))
    assert [span.error for span in told.spans] == ["its worker went away", "ValueError: no"]
    assert len({span.context.span_id for span in told.spans}) == 2


def test_of_two_that_have_it_the_first_answer_counts_and_both_are_spans() -> None:
    told = Told()
    ActivitySpans(told).answered(INVOKE, given("second", "first"), answer("first"))
    assert [(span.context.span_id, span.error is None, span.began_us) for span in told.spans] == [
        (span_of_dispatch("first"), True, 1), (span_of_dispatch("second"), False, 3),
    ]  # fmt: skip


def test_an_activity_outside_of_any_trace_is_none() -> None:
    told = Told()
    spans = ActivitySpans(told)
    plain = Invoke("pay", None, "i", "x", 1, "t")
    assert spans.trace_of(plain, "token") is None
    spans.lost(plain, "token", 1)
    assert told.spans == []
