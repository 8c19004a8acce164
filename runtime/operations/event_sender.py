"""Delivers what workflows send to other instances: events, and starts of detached instances (contract 3.7).

The one law: the sender is told of an event exactly when a commit of the receiver
holds it, or when the receiver cannot have it. Until then the sender keeps it in
its record, so after a crash it sends it again; the receiver takes its key once. A
start is treated as an event here.

The events of one sender to one receiver arrive in their order. The engine routes
them here.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
from anyio.abc import TaskGroup

from ...actors.address import Address
from ...actors.errors import HostLost, HostSilent, HostStopping, HostUnreachable, MailboxFull, NotOwner
from ...actors.store.errors import StoreError
from ..errors import ChildUnfinished, InstanceExists, InstanceNotFound, InvalidRequest
from ..history.event import DetachedCreated
from ..instance.message import EventsTaken, RaiseEvent, SendEvent, Start, workflow_address
from .facade import Facade

logger = logging.getLogger(__name__)

RETRY_S = 1.0  # after a store or a mailbox that did not take the event
TAKEN_MAX = 100  # events that the sender is told of at once: each time it writes its record


class EventSender:
    """Delivers events, with a task for each pair of a sender and a receiver while there are some.

    Args:
        facade: Raises the events, and starts the instances.
        send: Sends an answer to the sender.
        app_id: Of the app that is here; events for another app are dropped.
    """

    def __init__(self, facade: Facade, *, send: Callable[[Address, Any], None], app_id: str) -> None:
        self._facade = facade
        self._send = send
        self._app_id = app_id
        self._waiting: dict[tuple[str, str], deque[SendEvent]] = {}  # by sender and receiver
        self._keys: set[bytes] = set()  # of all that wait
        self._tasks: TaskGroup | None = None

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Deliver the events that are received, until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            task_status.started()
            await anyio.sleep_forever()

    def receive(self, address: Address, message: SendEvent) -> None:
        """Deliver an event, behind those that its sender has for the same receiver.

        Args:
            address: Of the receiver.
            message: The event.
        """
        assert self._tasks is not None
        if message.key in self._keys:
            return
        self._keys.add(message.key)
        pair = (message.sender_id, address.id)
        waiting = self._waiting.get(pair)
        if waiting is None:
            self._waiting[pair] = deque([message])
            self._tasks.start_soon(self._deliver_all, *pair)
        else:
            waiting.append(message)

    async def _deliver_all(self, sender_id: str, receiver_id: str) -> None:
        waiting = self._waiting[sender_id, receiver_id]
        taken: list[bytes] = []
        while waiting:
            message = waiting[0]
            if await self._deliver(receiver_id, message):
                taken.append(message.key)
            waiting.popleft()
            self._keys.discard(message.key)
            if taken and (not waiting or len(taken) >= TAKEN_MAX):
                self._send(workflow_address(sender_id), EventsTaken(tuple(taken)))
                taken.clear()
        del self._waiting[sender_id, receiver_id]

    async def _deliver(self, receiver_id: str, message: SendEvent) -> bool:
        """Deliver one event.

        Returns:
            Whether the sender may forget it.
        """
        event = message.event
        if isinstance(event, DetachedCreated):
            said = (
                f"workflow '{message.sender_id}' has asked for the detached workflow '{event.name}' as '{receiver_id}'"
            )
        else:
            said = f"workflow '{message.sender_id}' has sent event '{event.name}' to '{receiver_id}'"
        if event.target_app not in (None, "", self._app_id):
            logger.warning(
                "%s of app '%s', and this daemon hosts '%s' only; it is dropped", said, event.target_app, self._app_id
            )
            return True
        while True:
            try:
                if isinstance(event, DetachedCreated):
                    await self._facade.request_start(receiver_id, _start_of(event))
                else:
                    await self._facade.deliver(receiver_id, RaiseEvent(event.name, event.input, message.key))
            except (StoreError, MailboxFull, HostStopping, HostUnreachable, HostLost, HostSilent, NotOwner):
                await anyio.sleep(RETRY_S)
            except (InstanceExists, ChildUnfinished) as error:
                logger.warning("%s, and that id is taken: %s; it is dropped", said, error)
                return True
            except InstanceNotFound:
                logger.warning("%s, and there is no such instance; it is dropped", said)
                return True
            except InvalidRequest as error:
                logger.warning("%s, and that cannot be: %s; it is dropped", said, error)
                return True
            except Exception:
                logger.exception("%s, which could not take it; it is sent again after the next start", said)
                return False
            else:
                return True


def _start_of(event: DetachedCreated) -> Start:
    """The start that a workflow has asked for.

    Raises:
        InvalidRequest: It names no instance.
    """
    if not event.instance_id:
        raise InvalidRequest("no instance ID was provided")
    assert event.execution_id is not None
    return Start(event.name, event.input, event.execution_id, start_at_us=event.start_at_us, repeatable=True)
