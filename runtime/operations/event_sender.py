"""Delivers the messages of workflows to other instances: events, and starts of detached instances (contract 3.7).

The rule: the sender is notified of an event exactly when a commit of the receiver
holds it, or when the receiver cannot have it. Until then the sender keeps the event
in its record, and sends it again after a crash; the receiver takes its key once. A
start is treated as an event here.

The events of one sender to one receiver arrive in their order. The engine routes
them here.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import anyio

from ...actors.address import Address
from ...actors.store.errors import SEND_AGAIN
from ...actors.text import type_name
from ...actors.waiting.attendance import Attendance
from ...journal.journal import Journal
from ...journal.vocabulary import EVENT_DROPPED, EVENT_KEPT
from ..errors import ChildUnfinished, InstanceExists, InstanceNotFound, InvalidRequest
from ..history.event import DetachedCreated
from ..instance.message import EventsTaken, RaiseEvent, SendEvent, Start
from .facade import Facade

RETRY_S = 1.0  # the pause after a store or a mailbox has refused the event
TAKEN_MAX = 100  # events in one notification: for each, the sender writes its record


class EventSender(Attendance):
    """Delivers events, with a task for each pair of a sender and a receiver while there are some.

    Args:
        facade: Raises the events, and starts the instances.
        send: Sends an answer to the sender.
        journal: Gets lines about events that are dropped.
    """

    def __init__(
        self,
        facade: Facade,
        *,
        send: Callable[[Address, Any], None],
        journal: Journal | None = None,
    ) -> None:
        super().__init__()
        self._journal = (journal or Journal()).at(__name__)
        self._facade = facade
        self._send = send
        self._waiting: dict[tuple[str, str, str], deque[SendEvent]] = {}  # by sender, and receiver with its app
        self._keys: set[bytes] = set()  # of all waiting events

    def receive(self, address: Address, message: SendEvent) -> None:
        """Deliver an event, behind earlier ones of its sender for the same receiver.

        Args:
            address: Of the receiver.
            message: The event.
        """
        if message.key in self._keys:
            return
        self._keys.add(message.key)
        pair = (message.sender_id, address.id, message.event.target_app or "")
        waiting = self._waiting.get(pair)
        if waiting is None:
            self._waiting[pair] = deque([message])
            self._attend(message.sender_id, self._deliver_all, *pair)
        else:
            waiting.append(message)

    async def _deliver_all(self, sender_id: str, receiver_id: str, app_id: str) -> None:
        waiting = self._waiting[sender_id, receiver_id, app_id]
        try:
            await self._deliver_each(sender_id, receiver_id, waiting)
        finally:
            # Some are left if another host owns the sender now.
            self._keys.difference_update(message.key for message in waiting)
            del self._waiting[sender_id, receiver_id, app_id]

    async def _deliver_each(self, sender_id: str, receiver_id: str, waiting: deque[SendEvent]) -> None:
        taken: list[bytes] = []
        while waiting:
            message = waiting[0]
            if await self._deliver(receiver_id, message):
                taken.append(message.key)
            waiting.popleft()
            self._keys.discard(message.key)
            if taken and (not waiting or len(taken) >= TAKEN_MAX):
                self._send(self._facade.own.instance(sender_id), EventsTaken(tuple(taken)))
                taken.clear()

    async def _deliver(self, receiver_id: str, message: SendEvent) -> bool:
        """Deliver one event.

        Returns:
            Whether the sender may forget it.
        """
        event = message.event
        facade = self._facade.of_app(event.target_app) if event.target_app else self._facade
        while True:
            try:
                if isinstance(event, DetachedCreated):
                    await facade.request_start(receiver_id, _start_of(event))
                else:
                    await facade.deliver(receiver_id, RaiseEvent(event.name, event.input, message.key))
            except SEND_AGAIN:
                await anyio.sleep(RETRY_S)
            except (InstanceExists, ChildUnfinished) as error:
                self._tell(message, f", and that id is taken: {error}")
                return True
            except InstanceNotFound:
                self._tell(message, ", and there is no such instance")
                return True
            except InvalidRequest as error:
                self._tell(message, f", and that cannot be: {error}")
                return True
            except Exception as error:
                self._journal.write(EVENT_KEPT, exc_info=error, **_values(message), error_type=type_name(error))
                return False
            else:
                return True

    def _tell(self, message: SendEvent, reason: str) -> None:
        self._journal.write(EVENT_DROPPED, **_values(message), reason=reason)


def _values(message: SendEvent) -> dict[str, Any]:
    event = message.event
    what = "requested the detached workflow" if isinstance(event, DetachedCreated) else "sent event"
    to = "as" if isinstance(event, DetachedCreated) else "to"
    return {
        "instance_id": message.sender_id,
        "event_name": event.name,
        "receiver_id": event.instance_id,
        "what": what,
        "to": to,
    }


def _start_of(event: DetachedCreated) -> Start:
    """The start that a workflow has requested.

    Raises:
        InvalidRequest: It names no instance.
    """
    if not event.instance_id:
        raise InvalidRequest("no instance ID was provided")
    assert event.execution_id is not None
    return Start(
        event.name, event.input, event.execution_id, start_at_us=event.start_at_us, trace=event.trace, repeatable=True
    )
