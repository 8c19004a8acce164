"""One turn of a workflow actor: messages in; events, messages, reminders and replies out.

The rule: a turn reads no clock and never awaits. Its effects (replies,
messages, reminders) stand in the `Turn` that it makes, and happen after the
commit.

A turn has four stages, and a sheet that they share (`sheet.py`): each message
is received (`receiving.py`), the code is fed with the arrivals that may be fed
(`native.py`, or `remote.py` for a worker's answer), the results are written, and an
instance whose code is with a worker offers its next turn.
"""

from collections.abc import Sequence

from ...actors.turn import Envelope, Turn
from .bounds import warn_of_history
from .effects import drop_answered
from .ending import terminate
from .native import feed_if_possible, running_code
from .receiving import RECEIVERS
from .remote import is_remote, offer_a_turn, propagate, run_remotely
from .requests.steering import put_aside
from .sheet import TurnSheet
from .state import Instance


def take_turn(actor: Instance, envelopes: Sequence[Envelope], now_us: int) -> Turn:
    """Let an instance take in messages, and run its code.

    Args:
        now_us: Unix time, microseconds.
    """
    sheet = TurnSheet(actor, now_us)
    notes = actor.spans
    for envelope in envelopes:
        RECEIVERS[type(envelope.body)](sheet, envelope)
    notes = actor.spans or notes
    _run(sheet)
    if notes is not None:
        sheet.tell_spans(notes)
    if sheet.asked_again:
        drop_answered(sheet)
        actor.asked_again = sheet.turn
    events_before = actor.events
    sheet.finish()
    if events_before <= actor.surroundings.limits.history_events_warn < actor.events:
        warn_of_history(sheet, actor.events)
    if actor.execution is None:  # the code is not here
        propagate(sheet)
        offer_a_turn(sheet)
    return sheet.turn


def _run(sheet: TurnSheet) -> None:
    """Feed the code with the arrivals that may be fed, or end the instance if that was requested."""
    record = sheet.actor.record
    if record is None:
        return
    if sheet.setting_aside is not None and record.set_aside is None:
        put_aside(sheet)
        record = sheet.actor.record
    if record is None or record.status.terminal:
        return
    if sheet.termination is not None:
        terminate(sheet, sheet.termination)
    elif record.set_aside is not None:
        sheet.hold_all()
    elif sheet.actor.execution is None and is_remote(sheet, record):
        run_remotely(sheet)
    elif sheet.arrived or (sheet.actor.held and not record.status.suspended and sheet.holds_food):
        feed_if_possible(sheet)
    elif record.status.stalled:
        running_code(sheet)
