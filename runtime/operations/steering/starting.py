"""Starting: a start under an id that may be taken, or that is sent again.

The rule: a caller that repeats a start with its idempotency key gets the instance that the first one has begun, and
nothing is started a second time, in any later state of the instance. (Unless it was purged.)

`steering.py` offers it.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ....actors.hosting.host import Host
from ...authoring.app import App
from ...errors import (
    ChildUnfinished,
    IdTaken,
    InstanceExists,
    InstanceNotFound,
    InvalidRequest,
    KeyReused,
    WorkflowUnknown,
)
from ...execution.ids import make_id
from ...history.attribution import By
from ...history.event import Trace
from ...history.facets import status_word
from ...history.keys import execution_id_of, instance_id_of, is_same_key
from ...history.record import InstanceRecord, unpack_record
from ...instance.message import Start
from ..descendants import Descendants
from ..facade import Facade
from ..tags import checked_tags

KEY_CHARS_MAX = 256
KEY = re.compile(f"[!-~]{{1,{KEY_CHARS_MAX}}}")
ENDS_MAX = 100  # of holders of an id and their families, which others may start again meanwhile
NEAREST_MAX = 3


class IfExists(StrEnum):
    """The choices for a start under an id that an instance has."""

    REJECT = "reject"  # it is refused, in any status of the holder
    RETURN = "return"  # the holder is returned, if it is of the same workflow
    RESTART = "restart"  # a finished holder begins anew


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """A start as a caller of the management API requests it."""

    name: str  # the workflow's
    instance_id: str | None = None  # None: a new UUID, or with a key one that follows from the name and the key
    input: str | None = None  # JSON text
    start_at_us: int | None = None  # when its code is to begin; Unix time, microseconds. None: at once
    tags: Mapping[str, str] | None = None
    if_exists: IfExists = IfExists.REJECT
    force: bool = False  # with RESTART: terminate a holder that has not ended, and its descendants
    key: str | None = None  # an idempotency key: a repeated start with it finds the instance of the first one
    trace: Trace | None = None  # that the caller is part of; passed on to workers


class Begun(NamedTuple):
    """The answer to a start."""

    instance_id: str
    created: bool  # False: the instance existed already


class Starting:
    """Starts instances.

    Args:
        app: Has the workflows; None: workers have them.
        elsewhere: Whether a worker, or another host, may have a workflow that the app does not have.
    """

    def __init__(
        self,
        host: Host,
        facade: Facade,
        descendants: Descendants,
        *,
        app: App | None,
        elsewhere: Callable[[str], bool],
    ) -> None:
        self._host = host
        self._facade = facade
        self._descendants = descendants
        self._app = app
        self._elsewhere = elsewhere

    async def start(self, request: StartRequest, by: By) -> Begun:
        """Start an instance, or find the present one; see `Steering.start`.

        Raises:
            IdTaken: Another instance has the id.
        """
        name, key, if_exists = request.name, request.key, request.if_exists
        if request.force and if_exists is not IfExists.RESTART:
            raise InvalidRequest(f"force=true goes with if_exists=restart, not with {if_exists}; nothing was started")
        self.check_workflow(name)
        instance_id = request.instance_id
        if key is not None:
            check_key(key)
            instance_id = instance_id_of(name, key) if instance_id is None else instance_id
        start = Start(
            name,
            request.input,
            execution_id_of(name, key, request.input) if key is not None else make_id(self._host.instruments),
            start_at_us=request.start_at_us,
            unique=if_exists is not IfExists.RESTART,
            trace=request.trace,
            tags=checked_tags(request.tags) if request.tags else (),
            keyed=key is not None,
        )
        ends_left = ENDS_MAX if request.force else 0
        while True:
            try:
                return Begun(await self._facade.begin(instance_id, start), True)
            except ChildUnfinished as error:
                if not ends_left:
                    raise
                ends_left -= 1
                await self._end_descendants(error.instance_id)
            except InstanceExists as error:
                holder = await self._holder(error.instance_id)
                if holder is None:
                    continue  # it has been purged since
                if answers(holder, start, key, if_exists, error.instance_id):
                    return Begun(error.instance_id, False)
                if not ends_left:
                    restart = if_exists is IfExists.RESTART
                    status = status_word(holder)
                    raise IdTaken(error.instance_id, name=holder.name, status=status, restart=restart) from None
                ends_left -= 1
                await self._end(error.instance_id, by)

    def check_workflow(self, name: str) -> None:
        """Refuse an unknown workflow.

        Raises:
            WorkflowUnknown: The app does not have it, no other host may have it, and no worker has ever been connected.
        """
        app = self._app
        if not name or app is None or name in app.workflows or self._elsewhere(name):
            return
        known = {each.casefold(): each for each in app.workflows}
        near = difflib.get_close_matches(name.casefold()[:200], known, n=NEAREST_MAX)
        raise WorkflowUnknown(name, app=app.name, nearest=tuple(known[each] for each in near))

    async def _holder(self, instance_id: str) -> InstanceRecord | None:
        """The record of the instance that has the id now."""
        inspection = await self._host.inspect(self._facade.own.instance(instance_id))
        return unpack_record(inspection.record) if inspection is not None else None

    async def _end(self, instance_id: str, by: By) -> None:
        """Terminate the holder of the id. It has ended when this returns; its descendants end after it."""
        try:
            await self._facade.terminate(instance_id, recurse=True, by=by, stalled_too=True)
        except InstanceNotFound:
            return

    async def _end_descendants(self, instance_id: str) -> None:
        for relative in await self._descendants.family(instance_id):
            if relative.path and not relative.status.terminal:
                try:
                    facade = self._facade.of_app(relative.app_id)
                    await facade.terminate(relative.instance_id, recurse=True, by=None, stalled_too=True)
                except InstanceNotFound:
                    continue


def answers(holder: InstanceRecord, start: Start, key: str | None, if_exists: IfExists, instance_id: str) -> bool:
    """Whether the holder of an id is the instance that a start requests.

    Raises:
        KeyReused: It was begun with the same key and another input.
    """
    if key is not None and is_same_key(holder.run_id, start.execution_id):
        if holder.run_id != start.execution_id:
            raise KeyReused(instance_id, key)
        return True
    return if_exists is IfExists.RETURN and holder.name == start.name


def check_key(key: str) -> None:
    """Refuse a key that does not fit into a header of HTTP.

    Raises:
        InvalidRequest: It is empty or too long, or has characters that are not visible ASCII.
    """
    if KEY.fullmatch(key) is None:
        raise InvalidRequest(
            f"an idempotency key has 1 to {KEY_CHARS_MAX} visible characters of ASCII, not {key!r:.80}"
        )
