"""A slow client harms only itself: the longest idle connection is closed, and the longest stopped reader is cut off."""

import logging
import os
import resource
from collections.abc import Iterator

import pytest

from perdure.http.serving.crowd import BODY, HEAD, IDLE, LINGER, ConnectionLimits, Crowd


class FakeConnection:
    """A connection with the state that the test gives it."""

    def __init__(self, waits_for: str | None = None, *, since_s: float = 0.0, unread: int = 0) -> None:
        self.waits_for = waits_for
        self.since_s = since_s
        self.unread = unread
        self.unread_bytes = float("inf")
        self.moved_s = 0.0
        self.half_closed = False
        self.received = 0
        self.ended: str | None = None

    def waiting(self) -> str | None:
        return self.waits_for

    def closing(self) -> bool:
        return self.ended is not None

    def bytes_unread(self) -> int:
        return self.unread

    def body_bytes(self) -> int:
        return self.received

    def give_up(self, waited_for: str) -> None:
        self.ended = f"gave up on its {waited_for}"

    def cut_off(self) -> None:
        self.ended = "cut off"
        self.unread = 0


LIMITS = ConnectionLimits(
    connections_max=4, head_s=20, body_s=30, idle_s=120, linger_s=10, unread_s=60, unread_bytes_max=1000
)


@pytest.mark.parametrize(("waits_for", "deadline_s"), [(HEAD, 20), (BODY, 30), (IDLE, 120), (LINGER, 10)])
def test_each_wait_has_its_deadline(waits_for: str, deadline_s: float) -> None:
    crowd = Crowd(LIMITS, 0.0)
    connection = FakeConnection(waits_for, since_s=5.0)
    crowd.sweep([connection], 5.0 + deadline_s)
    assert connection.ended is None
    crowd.sweep([connection], 5.1 + deadline_s)
    assert connection.ended == f"gave up on its {waits_for}"


def test_a_request_that_waits_for_us_has_no_deadline() -> None:
    crowd = Crowd(LIMITS, 0.0)
    connection = FakeConnection(None)
    crowd.sweep([connection], 1e6)
    assert connection.ended is None


def test_a_body_that_comes_steadily_has_more_time_and_one_that_trickles_has_not() -> None:
    crowd = Crowd(LIMITS, 0.0)
    steady, trickling = FakeConnection(BODY), FakeConnection(BODY)
    steady.received, trickling.received = 100 * 1024, 100
    crowd.sweep([steady, trickling], 100.0)
    assert (steady.ended, trickling.ended) == (None, "gave up on its body")
    crowd.sweep([steady], 130.1)
    assert steady.ended == "gave up on its body"


def test_beyond_the_highest_number_the_one_that_idled_longest_makes_room(caplog: pytest.LogCaptureFixture) -> None:
    crowd = Crowd(LIMITS, 100.0)
    busy, idle, half_sent = FakeConnection(), FakeConnection(IDLE, since_s=50), FakeConnection(HEAD, since_s=60)
    lingering, new = FakeConnection(LINGER), FakeConnection(HEAD, since_s=100)
    assert crowd.make_room([busy, idle, half_sent, lingering, new], new)
    assert [each.ended for each in (busy, idle, half_sent, lingering, new)] == [None, "cut off", None, None, None]
    assert "more than 4 connections" in caplog.text


def test_where_none_idles_a_client_that_has_closed_its_end_makes_room() -> None:
    # Given as many connections as there may be, all with an answer under way, two of them of clients that send no more,
    crowd = Crowd(LIMITS, 100.0)
    busy, idle, new = FakeConnection(), FakeConnection(IDLE, since_s=90), FakeConnection(HEAD, since_s=100)
    gone, gone_longer = FakeConnection(since_s=50), FakeConnection(since_s=40)
    gone.half_closed = gone_longer.half_closed = True
    # when one more comes, then an idle one makes room first, and next the one whose client closed its end first.
    assert crowd.make_room([busy, gone, gone_longer, idle, new], new)
    assert [each.ended for each in (busy, gone, gone_longer, idle)] == [None, None, None, "cut off"]
    newer = FakeConnection(HEAD, since_s=101)
    new.waits_for = None
    assert crowd.make_room([busy, gone, gone_longer, new, newer], newer)
    assert [each.ended for each in (busy, gone, gone_longer, new)] == [None, None, "cut off", None]


def test_where_all_are_busy_the_new_one_has_no_room(caplog: pytest.LogCaptureFixture) -> None:
    crowd = Crowd(LIMITS, 100.0)
    new = FakeConnection(HEAD)
    busy = [FakeConnection(BODY), *(FakeConnection() for _ in range(3))]
    assert not crowd.make_room([*busy, new], new)
    assert not [each for each in busy if each.ended]
    assert "a new one was refused" in caplog.text


def test_one_that_is_closing_already_counts_no_more() -> None:
    crowd = Crowd(LIMITS, 0.0)
    connections = [FakeConnection(IDLE) for _ in range(5)]
    connections[3].ended = "closed"
    assert crowd.make_room(connections, connections[4])
    assert [each.ended for each in connections] == [None, None, None, "closed", None]


def test_beyond_the_bytes_the_reader_that_stood_still_longest_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    crowd = Crowd(LIMITS, 0.0)
    still, moving, new = (FakeConnection(unread=400) for _ in range(3))
    crowd.stall(moving)
    crowd.now_s = 1.0
    crowd.stall(still)
    moving.unread = 350
    crowd.sweep([still, moving], 2.0)
    crowd.now_s = 3.0
    crowd.stall(new)
    assert [each.ended for each in (still, moving, new)] == ["cut off", None, None]
    assert "more than 1000 bytes" in caplog.text


def test_a_single_answer_beyond_the_bytes_is_let_be() -> None:
    crowd = Crowd(LIMITS, 0.0)
    only = FakeConnection(unread=5000)
    crowd.stall(only)
    assert only.ended is None


def test_one_that_reads_again_counts_no_more() -> None:
    crowd = Crowd(LIMITS, 0.0)
    first, second = FakeConnection(unread=900), FakeConnection(unread=900)
    crowd.stall(first)
    crowd.flow(first)
    crowd.stall(second)
    assert (first.ended, second.ended) == (None, None)


def test_a_reader_that_takes_nothing_for_a_minute_is_cut_off_and_a_slow_one_is_not() -> None:
    crowd = Crowd(LIMITS, 0.0)
    still, slow = FakeConnection(unread=100), FakeConnection(unread=100)
    for each in (still, slow):
        crowd.stall(each)
    for now_s in range(1, 62):
        slow.unread -= 1
        crowd.sweep([still, slow], now_s)
    assert (still.ended, slow.ended) == ("cut off", None)


@pytest.fixture
def few_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    try:
        while True:
            opened.append(os.dup(2))
    except OSError:
        yield
    finally:
        for each in opened:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_it_is_said_that_no_more_files_can_be_opened(few_files: None, caplog: pytest.LogCaptureFixture) -> None:
    crowd = Crowd(LIMITS, 0.0)
    for now_s in range(5):
        crowd.sweep([], now_s)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "no more files can be opened" in record.message
    assert "ulimit -n" in record.message


def test_there_must_be_room_for_one() -> None:
    with pytest.raises(ValueError, match="connections_max must be at least 1, not 0"):
        ConnectionLimits(connections_max=0)
