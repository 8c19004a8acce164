"""E7: the code, replayed over the rows on the disk, stands where the live code stands.

`standing` describes an instance and its code as a plain value; two of the same instance are compared, the one that is
live and the one that is made from the disk. Nothing of it depends on the process, so that `told` may be
compared with that of another process, whose hash seed is another.
"""

from collections.abc import Sequence
from typing import Any

from perdure import App
from perdure.actors.store.contract import Stored
from perdure.runtime.authoring.codec import Encoder
from perdure.runtime.errors import NondeterminismError
from perdure.runtime.execution.drive import Execution
from perdure.runtime.execution.replay import replay
from perdure.runtime.history.record import unpack_record
from perdure.runtime.history.row import unpack_row
from perdure.runtime.instance.state import Instance
from perdure.runtime.instance.surroundings import Surroundings

from .broken import Broken

Standing = dict[str, Any]


def check_standing(app: App | None, live: Instance, record: bytes, entries: Sequence[bytes]) -> None:
    """Compare a live instance, all of whose turns are on the disk, with one that is made of the disk.

    Args:
        record: As the disk holds it, and so `entries`.

    Raises:
        Broken: E7.
    """
    if live.record is not None and live.record.status.terminal:
        return  # it holds nothing that will be used
    found, wanted = standing_of_stored(app, live.instance_id, record, entries), standing(live, live.execution)
    if live.execution is None:
        found["code"] = wanted["code"] = None
    if found != wanted:
        parts = [name for name in wanted if found[name] != wanted[name]]
        differences = "; ".join(f"{name} is {wanted[name]!r}, and on the disk {found[name]!r}" for name in parts)
        raise Broken("E7", f"{live.instance_id} stands elsewhere than its rows: {differences}")


def standing_of_stored(app: App | None, instance_id: str, record: bytes, entries: Sequence[bytes]) -> Standing:
    """Where an instance stands by its rows on the disk.

    Raises:
        Broken: E7: its code does not fit its rows.
    """
    made = Instance(Surroundings(app), instance_id, Stored(key=0, record=record, entries=entries, active=False))
    unpacked = unpack_record(record)
    definition = app.workflows.get(unpacked.name) if app is not None else None
    if definition is None or unpacked.status.terminal or unpacked.stall is not None or unpacked.remote:
        return standing(made, None)
    try:
        execution, _ = replay(
            definition,
            Encoder(),
            instance_id=instance_id,
            generation=unpacked.generation,
            rows=[unpack_row(entry) for entry in entries],
        )
    except NondeterminismError as error:
        raise Broken("E7", f"the code of {instance_id} does not fit its rows: {error}") from None
    try:
        return standing(made, execution)
    finally:
        execution.close()


def standing(instance: Instance, execution: Execution | None) -> Standing:
    """Where an instance and its code stand."""
    work = instance.open
    return {
        "record": instance.record,
        "activities": sorted(work.tasks),
        "children": sorted(work.children),
        "timers": sorted(work.timers.items()),
        "waits": sorted(work.waits.items()),
        "held": list(instance.held),
        "events": instance.events,
        "sent": list(instance.outbox or ()),
        "received": list(instance.received or ()),
        "code": _code(execution) if execution is not None else None,
    }


def _code(execution: Execution) -> dict[str, Any]:
    pending = execution._pending
    return {
        "outcome": execution.outcome,
        "custom status": execution.custom_status,
        "line": _lines(execution._code),
        "last id": pending._last_id,
        "now": pending.now_us,
        "calls": [
            (id_, call.name, call.attempt, call.first_id, call.reference, call.child_id, call.started_us)
            for id_, call in sorted(pending.calls.items())
        ],
        "timers": sorted(pending._timers),
        "waits": [(name, [(each.name, each.timer_id) for each in waits]) for name, waits in pending.waits.items()],
        "unasked": pending.unasked(),
        "patches": list(execution._patches.items()),
    }


def _lines(code: Any) -> list[int]:
    """The line of each coroutine or generator on the way to the awaited object."""
    lines: list[int] = []
    while code is not None:
        frame = getattr(code, "cr_frame", None) or getattr(code, "gi_frame", None)
        if frame is None:
            return lines
        lines.append(frame.f_lineno)
        code = getattr(code, "cr_await", None) or getattr(code, "gi_yieldfrom", None)
    return lines


def told(standing: Standing) -> str:
    """A standing as a text that is the same in any process."""
    return repr(standing)
