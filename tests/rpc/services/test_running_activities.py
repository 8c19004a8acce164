"""Each execution of an activity is counted once, and no other is."""

import pytest

from perdure.rpc.services.running_activities import RunningActivities
from perdure.runtime.history.failure import FailureDetails
from perdure.runtime.workers.items import ActivityAnswer, ActivityItem, WorkUnknown

from ...support.doors.fake_management import FakeManagement
from ...support.doors.rpc_host import Client, Host, run

ITEM = ActivityItem("I1", 3, "t-3", "reserve", "1", token="k1")  # noqa: S106
ANSWER = ActivityAnswer("I1", 3, "k1", "2", None)


class Watch:
    """Records its calls."""

    def __init__(self) -> None:
        self.given: list[tuple[str, float]] = []
        self.ended: list[tuple[str, str, float]] = []

    def activity_given(self, name: str, took_s: float) -> None:
        self.given.append((name, took_s))

    def activity_ended(self, name: str, status: str, took_s: float) -> None:
        self.ended.append((name, status, took_s))


class Activities(RunningActivities):
    """The running activities, with a clock that is set by hand."""

    def __init__(self) -> None:
        self.watch = Watch()
        self.at_s = 0.0
        super().__init__(self.watch, now_s=lambda: self.at_s)

    def send(self, item: ActivityItem, *, took_s: float = 0.0) -> None:
        with self.sending(item.instance_id, item.task_id, item.name, item.token):
            self.at_s += took_s


def test_an_execution_lasts_from_the_sending_to_the_answer() -> None:
    running = Activities()
    running.send(ITEM, took_s=0.5)
    running.at_s = 4.0
    running.answered(ANSWER, wanted=True)
    assert running.watch.given == [("reserve", 0.5)]
    assert running.watch.ended == [("reserve", "success", 4.0)]
    # An execution that is reported twice counts once.
    running.answered(ANSWER, wanted=False)
    assert len(running.watch.ended) == 1


def test_an_answer_may_come_before_the_sending_is_over_and_without_a_token() -> None:
    running = Activities()
    with running.sending(ITEM.instance_id, ITEM.task_id, ITEM.name, ITEM.token):
        running.answered(ANSWER._replace(token=""), wanted=True)
    assert running.watch.ended == [("reserve", "success", 0.0)]


def test_a_failure_is_a_failed_execution() -> None:
    running = Activities()
    running.send(ITEM)
    running.answered(ANSWER._replace(failure=FailureDetails(error_type="E", message="no")), wanted=True)
    assert running.watch.ended == [("reserve", "failed", 0.0)]


def test_an_execution_whose_activity_is_given_again_is_recoverable_and_its_answer_void() -> None:
    running = Activities()
    running.send(ITEM)
    running.at_s = 2.0
    running.send(ITEM._replace(token="k2"))  # noqa: S106
    running.answered(ANSWER, wanted=True)
    assert running.watch.ended == [("reserve", "recoverable", 2.0)]
    running.answered(ANSWER._replace(token="k2"), wanted=True)  # noqa: S106
    assert running.watch.ended[1:] == [("reserve", "success", 0.0)]


def test_an_unwanted_answer_is_no_execution_nor_is_one_that_was_never_given() -> None:
    running = Activities()
    running.answered(ANSWER, wanted=True)
    running.send(ITEM)
    running.answered(ANSWER, wanted=False)
    # The unwanted execution is forgotten, so that the next one with its id does not count it as lost.
    running.send(ITEM)
    assert running.watch.ended == []


def test_a_sending_that_fails_is_not_a_success() -> None:
    running = Activities()
    with pytest.raises(TimeoutError), running.sending(ITEM.instance_id, ITEM.task_id, ITEM.name, ITEM.token):
        raise TimeoutError
    assert running.watch.given == []


def test_the_service_tells_its_watch() -> None:
    watch = Watch()
    host = Host(FakeManagement(), watch=watch)

    async def test(client: Client) -> None:
        stream = client.call("GetWorkItems")
        host.dispatcher.give(ITEM, ITEM._replace(task_id=4))
        await stream.read()
        await stream.read()
        await client.call("CompleteActivityTask", instanceId="I1", taskId=3, completionToken="k1")
        host.dispatcher.failure = WorkUnknown("I1", 4)
        await client.failure("CompleteActivityTask", instanceId="I1", taskId=4, completionToken="k1")
        stream.cancel()

    run(host, test)
    assert [name for name, _ in watch.given] == ["reserve", "reserve"]
    assert [(name, status) for name, status, _ in watch.ended] == [("reserve", "success")]
