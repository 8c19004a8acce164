"""The supervisor decides when hosts start, stop and are killed; the tests simulate time and processes."""

import logging

import pytest

from perdure.daemon.hosts.supervisor import (
    GO_ON_S,
    GOOD_AFTER_S,
    PAUSE_S_MAX,
    PAUSE_S_MIN,
    SILENT_S,
    STARTING_SILENT_S,
    Supervisor,
    describe_exit,
)
from perdure.daemon.supervision import Beat, Failed, Ready, ShutdownAsked, Stop, ToHost

PATIENCE_S = 30.0


class FakeProcesses:
    """Simulated processes that note each call of a supervisor."""

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []
        self.failure: OSError | None = None  # the error that a start raises
        self.stopped: set[int] = set()  # of hosts that a signal has stopped

    def start(self, index: int) -> None:
        self.done.append(("start", index))
        if self.failure is not None:
            raise self.failure

    def send(self, index: int, message: ToHost) -> None:
        self.done.append(("stop", index, message.force) if isinstance(message, Stop) else ("reload", index))

    def kill(self, index: int) -> None:
        self.done.append(("kill", index))

    def go_on(self, index: int) -> bool:
        if index not in self.stopped:
            return False
        self.done.append(("go on", index))
        return True

    def since(self) -> list[tuple[object, ...]]:
        """The calls since the last look."""
        done, self.done = self.done, []
        return done


class Scene:
    """A supervisor of two hosts that were started at time 0."""

    def __init__(self, *, ready: bool = True) -> None:
        self.processes = FakeProcesses()
        self.announced: list[str] = []
        self.supervisor = Supervisor(
            self.processes, 2, announce=self.announced.append, patience_s=PATIENCE_S, loop_age_max_s=70
        )
        self.supervisor.start(0)
        if ready:
            for index in range(2):
                self.supervisor.handle_message(index, Ready("here"), 0)
            self.processes.since()


def test_all_hosts_that_run_read_their_tokens_again() -> None:
    scene = Scene()
    scene.supervisor.handle_end(1, -9, 1)
    scene.processes.since()
    scene.supervisor.reload()
    assert scene.processes.since() == [("reload", 0)]


def test_the_ready_line_is_said_once_when_all_hosts_are_ready() -> None:
    scene = Scene(ready=False)
    assert scene.processes.since() == [("start", 0), ("start", 1)]
    # Given one host of two that is ready, when the other becomes ready, then the line is printed,
    scene.supervisor.handle_message(1, Ready("here"), 1)
    assert scene.announced == []
    scene.supervisor.handle_message(0, Ready("here"), 2)
    assert scene.announced == ["here"]
    # and not again when a host was started again.
    scene.supervisor.handle_end(0, -9, 3)
    scene.supervisor.act(4)
    scene.supervisor.handle_message(0, Ready("here"), 5)
    assert scene.announced == ["here"]


def test_a_host_that_died_before_all_were_ready_is_waited_for() -> None:
    scene = Scene(ready=False)
    scene.supervisor.handle_message(0, Ready("here"), 1)
    scene.supervisor.handle_end(0, -9, 1)
    scene.supervisor.handle_message(1, Ready("here"), 1)
    assert scene.announced == []
    scene.supervisor.act(2)
    scene.supervisor.handle_message(0, Ready("here"), 3)
    assert scene.announced == ["here"]


def test_a_host_that_ends_is_started_again_after_a_pause_that_grows(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    now_s, pauses_s = 1.0, []
    for _ in range(8):
        # Given a host that ends as soon as it is ready,
        scene.supervisor.handle_end(1, 3, now_s)
        # when its time has not come, then nothing happens,
        pause_s = scene.supervisor.wait_s(now_s)
        assert pause_s is not None
        pauses_s.append(pause_s)
        scene.supervisor.act(now_s + pause_s * 0.99)
        assert scene.processes.since() == []
        # and when it has come, this host is started, and no other.
        now_s += pause_s * 1.01
        scene.supervisor.act(now_s)
        assert scene.processes.since() == [("start", 1)]
        assert scene.supervisor.wait_s(now_s) is None
        scene.supervisor.handle_message(1, Ready("here"), now_s)
    assert pauses_s == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    assert (pauses_s[0], pauses_s[-1]) == pytest.approx((PAUSE_S_MIN, PAUSE_S_MAX))
    # Each end is logged as an error.
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors[0] == "host-1 ended with exit code 3; it is started again in 0.1 s"
    assert len(errors) == 8


def test_a_host_that_was_ready_for_a_while_is_started_again_soon() -> None:
    scene = Scene()
    scene.supervisor.handle_end(1, 3, 1)
    scene.supervisor.act(2)
    scene.supervisor.handle_message(1, Ready("here"), 3)
    scene.supervisor.handle_end(1, 3, 3 + GOOD_AFTER_S)
    assert scene.supervisor.wait_s(3 + GOOD_AFTER_S) == pytest.approx(PAUSE_S_MIN)


def test_a_host_that_cannot_start_again_is_tried_until_it_can(caplog: pytest.LogCaptureFixture) -> None:
    # Given a host that has ended, and whose file another process has locked meanwhile,
    scene = Scene()
    scene.supervisor.handle_end(0, -11, 1)
    scene.supervisor.act(2)
    scene.processes.since()
    # when it says that it cannot start, then the daemon goes on, and the host is started again later.
    scene.supervisor.handle_message(0, Failed("the file is in use."), 3)
    scene.supervisor.handle_end(0, 1, 3)
    scene.supervisor.act(3 + PAUSE_S_MAX)
    assert scene.processes.since() == [("start", 0)]
    assert scene.supervisor.failed is None
    assert "host-0 cannot start: the file is in use." in caplog.messages


def test_a_system_that_has_no_process_to_give_is_asked_again() -> None:
    scene = Scene()
    scene.supervisor.handle_end(0, -9, 1)
    scene.processes.failure = OSError(11, "try again")
    scene.supervisor.act(2)
    scene.processes.failure = None
    scene.supervisor.act(2 + PAUSE_S_MAX)
    assert scene.processes.since() == [("start", 0), ("start", 0)]


def test_a_host_that_says_it_cannot_start_ends_all_and_the_first_reason_counts() -> None:
    # Given two hosts whose app cannot be imported,
    scene = Scene(ready=False)
    scene.processes.since()
    # when the first of them says so, then both are to stop,
    failed = Failed("Traceback ...", is_traceback=True)
    scene.supervisor.handle_message(1, failed, 1)
    assert scene.processes.since() == [("stop", 0, False), ("stop", 1, False)]
    scene.supervisor.handle_end(1, 1, 1)
    assert not scene.supervisor.done
    # and its message is the reason.
    scene.supervisor.handle_message(0, Failed("another"), 1)
    scene.supervisor.handle_end(0, 1, 1)
    assert scene.supervisor.done
    assert scene.supervisor.failed == failed
    assert scene.announced == []


def test_a_host_that_ends_before_it_was_ever_ready_ends_all() -> None:
    scene = Scene(ready=False)
    scene.supervisor.handle_end(1, -11, 1)
    assert scene.processes.since() == [("start", 0), ("start", 1), ("stop", 0, False)]
    assert scene.supervisor.failed == Failed("host-1 ended by SIGSEGV, before it was ready.")


def test_without_a_first_process_there_is_no_second() -> None:
    processes = FakeProcesses()
    processes.failure = OSError(11, "try again")
    supervisor = Supervisor(processes, 2, announce=lambda line: None, patience_s=1)
    supervisor.start(0)
    assert processes.since() == [("start", 0)]
    assert supervisor.done
    assert supervisor.failed is not None


def test_a_signal_stops_all_hosts_and_none_is_started_again() -> None:
    # Given a host that runs and one that is to be started again,
    scene = Scene()
    scene.supervisor.handle_end(0, -9, 1)
    # when a signal comes,
    scene.supervisor.handle_signal("SIGTERM", 1.05)
    # then the first is told to stop, and the other is not started.
    assert scene.processes.since() == [("stop", 1, False)]
    scene.supervisor.act(3)
    scene.supervisor.handle_end(1, 0, 3)
    assert scene.processes.since() == []
    assert scene.supervisor.done
    assert scene.supervisor.in_order


def test_a_second_signal_kills_what_is_left() -> None:
    scene = Scene()
    scene.supervisor.handle_signal("SIGINT", 1)
    scene.supervisor.handle_end(0, 0, 1)
    scene.processes.since()
    scene.supervisor.handle_signal("SIGTERM", 1)
    assert scene.processes.since() == [("kill", 1)]
    assert not scene.supervisor.done
    scene.supervisor.handle_end(1, -9, 1)
    assert scene.supervisor.done
    assert not scene.supervisor.in_order


def test_a_host_that_does_not_stop_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    # Given a stop,
    scene = Scene()
    scene.supervisor.handle_signal("SIGTERM", 5)
    scene.supervisor.handle_end(0, 0, 6)
    scene.processes.since()
    # when the stop takes longer than the patience,
    assert scene.supervisor.wait_s(6) == pytest.approx(PATIENCE_S - 1)
    scene.supervisor.act(5 + PATIENCE_S - 0.1)
    assert scene.processes.since() == []
    scene.supervisor.act(5 + PATIENCE_S)
    # then the remaining hosts are killed, once, and the stop was not in order.
    assert scene.processes.since() == [("kill", 1)]
    assert scene.supervisor.wait_s(5 + PATIENCE_S) is None
    assert not scene.supervisor.in_order
    assert "hosts have not stopped in 30 s: they are killed" in caplog.messages


def test_a_host_that_breaks_while_it_stops_shows_in_the_exit_code() -> None:
    scene = Scene()
    scene.supervisor.handle_signal("SIGTERM", 1)
    scene.supervisor.handle_end(0, 1, 1)
    scene.supervisor.handle_end(1, 0, 1)
    assert scene.supervisor.done
    assert not scene.supervisor.in_order


@pytest.mark.parametrize("force", [False, True])
def test_a_request_stops_all_hosts_as_it_says(force: bool) -> None:
    scene = Scene()
    scene.supervisor.handle_message(1, ShutdownAsked(force), 1)
    assert scene.processes.since() == [("stop", 0, force), ("stop", 1, force)]


def test_a_stop_that_is_forced_later_has_no_more_time_than_before() -> None:
    scene = Scene()
    scene.supervisor.handle_signal("SIGTERM", 1)
    scene.supervisor.handle_message(0, ShutdownAsked(force=True), 11)
    assert scene.processes.since()[-2:] == [("stop", 0, True), ("stop", 1, True)]
    assert scene.supervisor.wait_s(11) == pytest.approx(PATIENCE_S - 10)


def test_ready_hosts_say_nothing_when_all_are_to_stop() -> None:
    scene = Scene(ready=False)
    scene.supervisor.handle_signal("SIGTERM", 1)
    for index in range(2):
        scene.supervisor.handle_message(index, Ready("here"), 1)
    assert scene.announced == []


def test_nothing_to_do_is_nothing_to_wait_for() -> None:
    assert Scene().supervisor.wait_s(100) is None


def test_an_end_is_told_by_its_code_or_its_signal() -> None:
    assert (describe_exit(3), describe_exit(-15)) == ("with exit code 3", "by SIGTERM")


def beat_and_look(scene: Scene, index: int, *, from_s: int, to_s: int) -> None:
    """Let a host beat, and the supervisor look, once a second."""
    for now_s in range(from_s, to_s):
        scene.supervisor.handle_message(index, Beat(0), now_s)
        scene.supervisor.act(now_s)


def test_a_host_that_is_not_heard_any_more_is_killed_and_started_again() -> None:
    # Given two hosts that beat, of which one hangs,
    scene = Scene()
    scene.supervisor.handle_message(0, Beat(0), 0)
    beat_and_look(scene, 1, from_s=0, to_s=6)
    # when it has been silent for 5 s, and not before, then it is killed, once,
    assert scene.processes.since() == []
    beat_and_look(scene, 1, from_s=6, to_s=9)
    assert scene.processes.since() == [("kill", 0)]
    # and started again like any host that ends.
    scene.supervisor.handle_end(0, -9, 9)
    scene.supervisor.act(9 + PAUSE_S_MIN)
    assert scene.processes.since() == [("start", 0)]


def test_a_host_that_a_signal_has_stopped_goes_on() -> None:
    # Given a host that a signal has stopped, when it has been silent for 5 s, then it is told to go on,
    scene = Scene()
    scene.processes.stopped = {0}
    scene.supervisor.handle_message(0, Beat(0), 0)
    beat_and_look(scene, 1, from_s=0, to_s=7)
    assert scene.processes.since() == [("go on", 0)]
    # and is let alone when it beats again.
    scene.processes.stopped = set()
    scene.supervisor.handle_message(0, Beat(0), 7)
    beat_and_look(scene, 1, from_s=7, to_s=13)
    assert scene.processes.since() == []
    # When it is stopped once more it has the full time again.
    scene.processes.stopped = {0}
    beat_and_look(scene, 1, from_s=13, to_s=14)
    assert scene.processes.since() == [("go on", 0)]


def test_a_stopped_host_that_does_not_go_on_is_killed() -> None:
    scene = Scene()
    scene.processes.stopped = {0}
    scene.supervisor.handle_message(0, Beat(0), 0)
    beat_and_look(scene, 1, from_s=0, to_s=6 + round(GO_ON_S))
    assert scene.processes.since() == [("go on", 0)]
    beat_and_look(scene, 1, from_s=6 + round(GO_ON_S), to_s=12)
    assert scene.processes.since() == [("kill", 0)]
    # The next process of the host starts without a record of the last one.
    scene.supervisor.handle_end(0, -9, 12)
    scene.supervisor.act(13)
    scene.supervisor.handle_message(0, Beat(0), 13)
    scene.processes.since()
    beat_and_look(scene, 1, from_s=13, to_s=20)
    assert scene.processes.since() == [("go on", 0)]


def test_a_host_that_is_not_ready_yet_may_be_silent_for_longer() -> None:
    # Given a host that has beaten and then imports code, when it has been silent for 5 s, then it is let alone,
    scene = Scene(ready=False)
    scene.processes.since()
    scene.supervisor.handle_message(0, Beat(0), 0)
    beat_and_look(scene, 1, from_s=0, to_s=round(STARTING_SILENT_S) + 1)
    assert scene.processes.since() == []
    # and after a longer time it is killed, because it may hang.
    beat_and_look(scene, 1, from_s=round(STARTING_SILENT_S) + 1, to_s=round(STARTING_SILENT_S) + 3)
    assert scene.processes.since() == [("kill", 0)]


def test_a_host_that_is_started_again_has_the_longer_time_again() -> None:
    scene = Scene()
    scene.supervisor.handle_end(0, -9, 1)
    scene.supervisor.act(2)
    scene.supervisor.handle_message(0, Beat(0), 2)
    scene.processes.since()
    beat_and_look(scene, 1, from_s=2, to_s=30)
    assert scene.processes.since() == []
    # Once it is ready, it has the shorter time.
    scene.supervisor.handle_message(0, Beat(0), 30)
    scene.supervisor.handle_message(0, Ready("ready"), 30)
    beat_and_look(scene, 1, from_s=30, to_s=38)
    assert scene.processes.since() == [("kill", 0)]


def test_a_host_that_has_not_begun_to_beat_is_not_killed() -> None:
    scene = Scene()
    beat_and_look(scene, 1, from_s=0, to_s=100)
    assert scene.processes.since() == []


def test_the_supervisor_looks_as_long_as_a_host_beats() -> None:
    scene = Scene()
    assert scene.supervisor.wait_s(0) is None
    beat_and_look(scene, 1, from_s=0, to_s=1)
    assert scene.supervisor.wait_s(0.4) == pytest.approx(0.6)


def test_time_in_which_the_supervisor_did_not_run_is_no_hosts_fault() -> None:
    # Given a supervisor that was stopped for a minute, together with its hosts or alone,
    scene = Scene()
    beat_and_look(scene, 1, from_s=0, to_s=3)
    scene.supervisor.act(63)
    assert scene.processes.since() == []
    # then the time of a host begins when the supervisor goes on.
    for now_s in range(64, 66):
        scene.supervisor.act(now_s)
    assert scene.processes.since() == []
    for now_s in range(66, 64 + round(SILENT_S) + 2):
        scene.supervisor.act(now_s)
    assert scene.processes.since() == [("kill", 1)]


@pytest.mark.parametrize(("age_s", "killed"), [(69.0, False), (71.0, True)])
def test_a_host_whose_event_loop_is_blocked_for_too_long_is_killed(age_s: float, killed: bool) -> None:
    scene = Scene()
    scene.supervisor.handle_message(0, Beat(age_s), 1)
    assert scene.processes.since() == ([("kill", 0)] if killed else [])


def test_the_last_beats_of_a_host_that_has_ended_count_for_nothing() -> None:
    scene = Scene()
    scene.supervisor.handle_end(0, -9, 1)
    scene.supervisor.handle_message(0, Beat(100), 1)
    scene.supervisor.act(1.1)
    scene.supervisor.act(60)
    assert scene.processes.since() == [("start", 0)]
