"""The operations of a client, on a daemon over HTTP.

The rule: it has the methods of `runtime/operations/facade.py` with the same meanings, and payloads as JSON text, so
that `Client` works with both.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio
import msgspec

from ..api.management.actions import ActionDone
from ..api.management.history import HistoryList
from ..api.management.instances import FailureReport, InstanceDetails, InstanceSummary
from ..api.management.moments import parse_moment
from ..api.management.words import HISTORY_CHANGED, HISTORY_UNREADABLE
from ..runtime.dates import from_us, to_us
from ..runtime.errors import InstanceNotFound, InvalidRequest
from ..runtime.history.failure import FailureDetails
from ..runtime.history.instance_state import InstanceState
from ..runtime.history.status import SET_ASIDE, STATUS_WORDS, Status
from ..runtime.operations.facade import finished
from ..runtime.operations.reading.history_page import execution_of
from ..runtime.operations.steering.starting import IfExists, StartRequest, check_key
from .api_server import ApiServer, path_of
from .errors import ServerRefused
from .filters import text_of_value
from .remote_states import RemoteStates

POLL_S = 60  # seconds of one request of a wait; the server allows 300
SLACK_S = 15.0  # how late its answer may be
# The pause before a second read, if the first was of two generations, because a commit is under way.
AGAIN_S = 0.02

# The events that have the input and the output of an instance: kind of the event -> kind of the payload.
INPUT_OF = {"executionStarted": "input"}
OUTPUT_OF = {"executionCompleted": "result", "executionTerminated": "input"}
NEAR_THE_END = 4  # events to read at either end of the history to find these


class RemoteOperations:
    """Calls the management API of a daemon."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.states = RemoteStates(server)

    async def start(
        self,
        name: str,
        *,
        instance_id: str | None = None,
        input: str | None = None,  # noqa: A002
        start_at_us: int | None = None,
    ) -> str:
        """Start an instance; the id of a finished instance is used again, as in an engine."""
        if_exists = IfExists.RESTART if instance_id is not None else IfExists.REJECT
        return await self.begin(
            StartRequest(name=name, instance_id=instance_id, input=input, start_at_us=start_at_us, if_exists=if_exists)
        )

    async def begin(self, request: StartRequest) -> str:
        """Start an instance, with all options."""
        query = [(f"tag.{tag}", value) for tag, value in (request.tags or {}).items()]
        query.append(("if_exists", request.if_exists))
        if request.instance_id is not None:
            query.append(("id", request.instance_id))
        if request.start_at_us is not None:
            query.append(("start_at", text_of_value(from_us(request.start_at_us))))
        if request.force:
            query.append(("force", "true"))
        begun = await self.server.ask(
            "POST",
            path_of("workflows", request.name, "instances"),
            InstanceSummary,
            query=query,
            body=as_utf8(request.input),
            headers=key_header(request.key),
            instance_id=request.instance_id,
        )
        return begun.id

    async def describe(self, instance_id: str) -> InstanceDetails | None:
        """Describe an instance; None if it does not exist."""
        try:
            return await self.server.ask(
                "GET", path_of("instances", instance_id), InstanceDetails, instance_id=instance_id
            )
        except InstanceNotFound:
            return None

    async def inspect(self, instance_id: str) -> InstanceState | None:
        """Describe an instance with its payloads; None if it does not exist."""
        while (described := await self.describe(instance_id)) is not None:
            if (state := await self._with_payloads(described)) is not None:
                return state
            await anyio.sleep(AGAIN_S)
        return None

    async def wait(self, instance_id: str, until: Callable[[Status], bool] = finished) -> InstanceState:
        """Wait until the committed status satisfies `until`."""
        words = [status.name for status in Status if status.name in STATUS_WORDS and until(status)]
        if not words:
            raise InvalidRequest("no status of an instance satisfies `until`; the wait would never end")
        if Status.STALLED.name in words:
            words.append(SET_ASIDE)
        while True:
            described = await self.wait_once(instance_id, words, POLL_S)
            if described is not None:
                if (state := await self._with_payloads(described)) is not None:
                    return state
                await anyio.sleep(AGAIN_S)

    async def wait_once(self, instance_id: str, words: list[str], seconds: float) -> InstanceDetails | None:
        """Wait for one of several statuses; None if the time is over.

        Args:
            words: The statuses; empty: the end.
            seconds: At most 300.
        """
        answer = await self.server.send(
            "GET",
            path_of("instances", instance_id, "wait"),
            good=(200, 204),
            query=[("until", ",".join(words) or "terminal"), ("timeout", text_of_value(float(seconds)))],
            instance_id=instance_id,
            read_s=seconds + SLACK_S,
        )
        return self.server.read(answer, InstanceDetails) if answer.status == 200 else None

    async def raise_event(self, instance_id: str, name: str, data: str | None, *, key: str | None) -> None:
        """Send an event to an instance, once for each key."""
        await self.server.ask(
            "POST",
            path_of("instances", instance_id, "events", name),
            ActionDone,
            body=as_utf8(data),
            headers=key_header(key),
            instance_id=instance_id,
        )

    async def suspend(self, instance_id: str, *, reason: str | None, recurse: bool) -> bool:
        """Suspend an instance until it is resumed."""
        return changed(await self.act("suspend", instance_id, {"reason": reason, "recurse": recurse}))

    async def resume(self, instance_id: str, *, reason: str | None, recurse: bool) -> bool:
        """Resume a suspended instance."""
        return changed(await self.act("resume", instance_id, {"reason": reason, "recurse": recurse}))

    async def terminate(self, instance_id: str, *, output: str | None, recurse: bool, reason: str | None) -> bool:
        """End an instance without running its code."""
        given = {"output": msgspec.Raw(output.encode())} if output is not None else {}
        return changed(await self.act("terminate", instance_id, {"reason": reason, "recurse": recurse, **given}))

    async def purge(self, instance_id: str, *, recurse: bool, force: bool, reason: str | None) -> int:
        """Delete a finished instance, and return the number of deleted instances."""
        done = await self.act("purge", instance_id, {"reason": reason, "recurse": recurse, "force": force})
        return done.affected if isinstance(done.affected, int) else 1

    async def act(
        self, action: str, instance_id: str, body: Mapping[str, Any], *, expected_run: str | None = None
    ) -> ActionDone:
        """Do an action on an instance.

        Args:
            expected_run: The `first_execution_id` that the instance must have.
        """
        return await self.server.ask(
            "POST",
            path_of("instances", instance_id, action),
            ActionDone,
            body={key: value for key, value in body.items() if value is not None},
            headers={"if-match": f'"{expected_run}"'} if expected_run is not None else None,
            instance_id=instance_id,
        )

    async def payloads(self, described: InstanceDetails) -> tuple[str | None, str | None]:
        """Read the input and the output of an instance as JSON texts."""
        given = result = None
        if described.input_bytes:
            given = await self._payload(described.id, await self._events(described.id, "oldest"), INPUT_OF)
        if described.output_bytes:
            result = await self._payload(described.id, await self._events(described.id, "newest"), OUTPUT_OF)
        return given, result

    async def _with_payloads(self, described: InstanceDetails) -> InstanceState | None:
        """Combine a description with the payloads and the time of the newest event.

        Returns:
            The state; None if the instance has a new generation, or was purged, since it was described.
        """
        given = result = None
        try:
            newest = await self._events(described.id, "newest")
            if described.output_bytes:
                result = await self._payload(described.id, newest, OUTPUT_OF)
            if described.input_bytes:
                given = await self._payload(described.id, await self._events(described.id, "oldest"), INPUT_OF)
        except InstanceNotFound:
            return None
        except ServerRefused as error:
            if error.code == HISTORY_CHANGED.code:
                return None
            if error.code == HISTORY_UNREADABLE.code:
                return state_of(described, None, None)
            raise
        if not newest:  # the generation has just begun
            return state_of(described, given, result) if not described.history.events else None
        if execution_of(newest[0]["key"]) not in (None, described.execution_id):
            return None
        return state_of(described, given, result, updated_us=parse_moment(newest[0]["timestamp"]))

    async def _events(self, instance_id: str, order: str) -> Sequence[Mapping[str, Any]]:
        """Read the events at one end of a history, without their payloads."""
        path = path_of("instances", instance_id, "history")
        query = [("order", order), ("limit", str(NEAR_THE_END)), ("payloads", "none")]
        return (await self.server.ask("GET", path, HistoryList, query=query, instance_id=instance_id)).items

    async def _payload(
        self, instance_id: str, events: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]
    ) -> str | None:
        """Read the payload of the first event of these kinds.

        Args:
            kinds: Kind of the event -> kind of the payload.
        """
        for event in events:
            for kind, payload in kinds.items():
                if kind in event and "payloadBytes" in event:
                    path = path_of("instances", instance_id, "history", event["key"], payload)
                    answer = await self.server.send("GET", path, good=(200, 204), instance_id=instance_id)
                    return answer.text if answer.status == 200 else None
        return None


def state_of(
    described: InstanceDetails, given: str | None, result: str | None, *, updated_us: int | None = None
) -> InstanceState:
    """Make the state that a client returns from a description and payloads.

    Args:
        updated_us: The time of the newest event; Unix time in microseconds. None: unknown.
    """
    set_aside = described.status == SET_ASIDE
    return InstanceState(
        instance_id=described.id,
        execution_id=described.execution_id,
        name=described.name,
        status=Status.STALLED if set_aside else Status[described.status],
        created_us=to_us(described.created),
        updated_us=updated_us if updated_us is not None else to_us(described.updated),
        input=given,
        output=result,
        custom_status=described.custom_status,
        failure=_failure(described.failure) if described.failure is not None else None,
        stall=described.stall.reason if described.stall is not None else None,
        parent_id=described.parent,
        set_aside=set_aside,
    )


def _failure(report: FailureReport) -> FailureDetails:
    return FailureDetails(
        error_type=report.type,
        message=report.message,
        stack_trace=report.traceback,
        inner=_failure(report.cause) if report.cause is not None else None,
    )


def changed(done: ActionDone) -> bool:
    """Whether an action has changed the instance."""
    return done.already is msgspec.UNSET


def as_utf8(text: str | None) -> bytes | None:
    """Encode a payload for the body of a request."""
    return text.encode() if text is not None else None


def key_header(key: str | None) -> dict[str, str] | None:
    """Return the header of an idempotency key. Raises InvalidRequest."""
    if key is None:
        return None
    check_key(key)
    return {"idempotency-key": key}
