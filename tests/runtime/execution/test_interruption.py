"""An interruption names the step, the moment, the line and the remedy; `except Exception` does not catch it."""

from perdure.runtime.execution.interruption import CodeInterrupted


def test_it_says_what_happened_and_what_to_do() -> None:
    text = str(CodeInterrupted("Workflow 'w' of x", limit_s=10.0, line="app.py:3 in w"))
    assert text.startswith(
        "Workflow 'w' of x was interrupted because one step of it has blocked the event loop for 10 s"
    )
    assert "at app.py:3 in w" in text
    assert "has to end or to await" in text


def test_it_is_no_exception_that_code_catches_by_accident() -> None:
    assert not issubclass(CodeInterrupted, Exception)
