"""The exception by which code that does not give the event loop back is interrupted.

The rule: it is not an `Exception`, so that user code does not catch it by accident. `runtime/activities/steps.py`
raises it in the middle of user code; `runtime/execution/drive.py` and `runtime/activities/actors.py` catch it.
"""


class CodeInterrupted(BaseException):
    """A step of user code has lasted too long, and was interrupted."""

    # For an activity: it would most likely block the event loop again, but the policy of its caller decides.
    non_retriable = False

    def __init__(self, what: str, *, limit_s: float, line: str) -> None:
        super().__init__(what, limit_s, line)
        self.what = what
        self.limit_s = limit_s
        self.line = line

    def __str__(self) -> str:
        return (
            f"{self.what} was interrupted because one step of it has blocked the event loop for {self.limit_s:g} s, "
            f"at {self.line}. A step has to end or to await; long work belongs into a plain function as an activity."
        )
