"""Events for other instances are delivered in order, and their sender is notified when they are accepted."""

import logging
from typing import Any

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.errors import ActorFailed, HostLost, MailboxFull, RingUnknown
from perdure.actors.store.errors import StoreFailed
from perdure.runtime.directory import EVENT_SEND, AppAddresses
from perdure.runtime.errors import ChildUnfinished, InstanceExists, InstanceNotFound, InvalidRequest
from perdure.runtime.history.event import DetachedCreated, EventSent
from perdure.runtime.instance.message import (
    EventsTaken,
    RaiseEvent,
    SendEvent,
    Start,
)
from perdure.runtime.operations import event_sender
from perdure.runtime.operations.event_sender import TAKEN_MAX, EventSender

pytestmark = pytest.mark.anyio

RECEIVER = Address(EVENT_SEND, "r")


def message(number: int, *, sender: str = "s", target_app: str | None = None) -> SendEvent:
    return SendEvent(sender, f"{sender}{number}".encode(), EventSent(number, "r", "go", str(number), target_app))


def detached(number: int, *, name: str = "r", target_app: str | None = None) -> SendEvent:
    start = DetachedCreated(number, name, "w", str(number), 7, f"x{number}", target_app)
    return SendEvent("s", f"s{number}".encode(), start)


class Facade:
    """Answers deliveries and starts with the errors it is given, then with success."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.taken: list[tuple[str, RaiseEvent]] = []
        self.started: list[tuple[str, Start]] = []
        self.asked = 0
        self.own = AppAddresses("ours")
        self.apps: list[str] = []  # requested in addition to its own

    def of_app(self, app_id: str) -> "Facade":
        if app_id != "ours":
            self.apps.append(app_id)
        return self

    async def deliver(self, instance_id: str, event: RaiseEvent) -> None:
        self.asked += 1
        await anyio.lowlevel.checkpoint()
        if self.errors:
            raise self.errors.pop(0)
        self.taken.append((instance_id, event))

    async def request_start(self, instance_id: str, start: Start) -> str:
        self.asked += 1
        await anyio.lowlevel.checkpoint()
        if self.errors:
            raise self.errors.pop(0)
        self.started.append((instance_id, start))
        return instance_id


async def told(facade: Facade, *messages: SendEvent, count: int | None = None) -> list[tuple[str, Any]]:
    """Deliver messages, and wait until their senders are notified of this number (None: of all)."""
    sent: list[tuple[str, Any]] = []
    sender = EventSender(
        facade,  # type: ignore[arg-type]  # as much of a facade as it needs
        send=lambda address, body: sent.append((address.id, body)),
    )
    wanted = len(messages) if count is None else count
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await tasks.start(sender.run)
            for each in messages:
                sender.receive(RECEIVER, each)
            while sum(len(body.keys) for _, body in sent) < wanted:
                await anyio.sleep(0.001)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    return sent


async def test_an_event_is_raised_under_its_key_and_its_sender_is_told() -> None:
    facade = Facade()
    assert await told(facade, message(1)) == [("s", EventsTaken((b"s1",)))]
    assert facade.taken == [("r", RaiseEvent("go", "1", b"s1"))]


async def test_the_events_of_one_sender_arrive_in_their_order_though_one_has_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_sender, "RETRY_S", 0.001)
    facade = Facade(StoreFailed("no disk"), MailboxFull(RECEIVER, messages_max=1), HostLost("h1"))
    await told(facade, *(message(n) for n in range(5)))
    assert [event.input for _, event in facade.taken] == ["0", "1", "2", "3", "4"]
    assert facade.asked == 8


async def test_senders_are_told_of_many_at_once_but_not_of_all() -> None:
    sent = await told(Facade(), *(message(n) for n in range(TAKEN_MAX + 3)))
    assert [len(body.keys) for _, body in sent] == [TAKEN_MAX, 3]


async def test_an_event_that_is_sent_again_while_it_waits_is_one() -> None:
    facade = Facade()
    await told(facade, message(1), message(1), message(1, sender="t"), count=2)
    assert sorted(event.key or b"" for _, event in facade.taken) == [b"s1", b"t1"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InstanceNotFound("r"), "there is no such instance; it is dropped"),
        (InvalidRequest("missing workflow event name"), "missing workflow event name; it is dropped"),
    ],
)
async def test_an_event_without_a_receiver_is_a_line_in_the_log_and_no_failure_of_the_sender(
    error: Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    facade = Facade(error)
    assert await told(facade, message(1)) == [("s", EventsTaken((b"s1",)))]
    assert facade.taken == []
    [line] = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert line.startswith("workflow 's' has sent event 'go' to 'r'")
    assert said in line


async def test_an_event_of_this_app_by_name_is_delivered() -> None:
    facade = Facade()
    await told(facade, message(1, target_app="ours"))
    assert (len(facade.taken), facade.apps) == (1, [])


async def test_an_event_for_another_app_goes_to_the_instances_of_that_app() -> None:
    facade = Facade()
    await told(facade, message(1, target_app="theirs"))
    assert (len(facade.taken), facade.apps) == (1, ["theirs"])


async def test_an_event_for_an_app_that_no_host_has_is_tried_until_one_has_it() -> None:
    facade = Facade(RingUnknown("theirs"), RingUnknown("theirs"))
    assert await told(facade, message(1, target_app="theirs")) == [("s", EventsTaken((b"s1",)))]
    assert facade.asked == 3


@pytest.mark.parametrize("error", [ActorFailed(RECEIVER, KeyError("x")), ZeroDivisionError("bug")])
async def test_a_receiver_that_breaks_keeps_nothing_from_the_others_and_its_event_stays_with_the_sender(
    error: Exception,
) -> None:
    facade = Facade(error)
    assert await told(facade, message(1), message(2), count=1) == [("s", EventsTaken((b"s2",)))]


# Starts of detached instances.


async def test_a_detached_instance_is_started_and_its_asker_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_sender, "RETRY_S", 0.001)
    facade = Facade(StoreFailed("no disk"), MailboxFull(RECEIVER, messages_max=1), HostLost("h1"))
    assert await told(facade, detached(1)) == [("s", EventsTaken((b"s1",)))]
    assert facade.started == [("r", Start("w", "1", "x1", start_at_us=7, repeatable=True))]


@pytest.mark.parametrize(
    ("error", "message", "said"),
    [
        (InstanceExists("r"), detached(1), "that id is taken: "),
        (ChildUnfinished("r", ("c",)), detached(1), "that id is taken: "),
        (None, detached(1, name=""), "no instance ID was provided"),
    ],
)
async def test_a_detached_instance_that_cannot_be_is_a_line_in_the_log(
    error: Exception | None, message: SendEvent, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    facade = Facade(*([error] if error is not None else []))
    assert await told(facade, message) == [("s", EventsTaken((b"s1",)))]
    assert facade.started == []
    [line] = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert line.startswith("workflow 's' has requested the detached workflow 'w'")
    assert said in line
    assert "it is dropped" in line


async def test_what_a_sender_of_another_host_waits_for_is_forgotten_and_may_come_back() -> None:
    facade = Facade(*[MailboxFull(Address("workflow", "r"), messages_max=1)] * 3)
    sent: list[Any] = []
    sender = EventSender(facade, send=lambda address, body: sent.append(body))  # type: ignore[arg-type]
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await tasks.start(sender.run)
            sender.receive(RECEIVER, message(1))
            sender.receive(RECEIVER, message(2))
            await anyio.wait_all_tasks_blocked()
            sender.leave(lambda instance_id: instance_id == "s")
            await anyio.wait_all_tasks_blocked()
            facade.errors.clear()
            # The shard of the sender has come back, and its recovery sends the first again.
            sender.receive(RECEIVER, message(1))
            while not sent:
                await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()
    assert sent == [EventsTaken((b"s1",))]
    assert [event.name for _, event in facade.taken] == ["go"]
