"""The traceback of a failure, with the user's own lines only: lines of the loop and the engine do not explain it.

The rule: a line of the user's is never left out.

`testing/stories/decorator.py` raises with it.
"""

from types import TracebackType

from ..code.where import OwnCode
from ..errors import InvariantFailed


def users_own(error: Exception | None) -> BaseException | None:
    """The error that the user's code has raised, with its lines; None if none of their lines led to it."""
    if isinstance(error, InvariantFailed) and error.__cause__ is not None:
        cause: BaseException = error.__cause__
    elif error is not None:
        cause = error
    else:
        return None
    kept = _kept(cause.__traceback__, OwnCode())
    if kept is None:
        return None
    cause.__cause__ = cause.__context__ = None
    return cause.with_traceback(kept)


def _kept(traceback: TracebackType | None, own: OwnCode) -> TracebackType | None:
    if traceback is None:
        return None
    rest = _kept(traceback.tb_next, own)
    if not own.has(traceback.tb_frame.f_code.co_filename):
        return rest
    return TracebackType(rest, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)
