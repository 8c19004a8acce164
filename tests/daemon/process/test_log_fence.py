"""Handlers and factories that code of the app adds to the log break no line of the daemon's, and no writer of one."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from perdure.actors.waiting.ownership import CodeOwner, call_as
from perdure.daemon.process.early_signals import StopAsked
from perdure.daemon.process.log_fence import INTERVAL_S, LogFence, log_fenced
from perdure.runtime.execution.interruption import CodeInterrupted

DAEMONS = "perdure.daemon.daemon"
ERRORS = [RuntimeError("x"), KeyboardInterrupt("x"), SystemExit(3), GeneratorExit("x"), asyncio.CancelledError("x")]


class Lines(logging.Handler):
    """A handler that keeps its lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Fails(logging.Handler):
    """A handler that raises."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def emit(self, record: logging.LogRecord) -> None:
        raise self.error


class Again(logging.Handler):
    """A handler that logs a line, for which it is called again."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger("again").warning("again")


@pytest.fixture
def ours() -> Iterator[Lines]:
    """The daemon's handler, at the root logger, which is restored afterwards."""
    root, package = logging.getLogger(), logging.getLogger("perdure")
    before = root.handlers[:], root.filters[:], package.handlers[:], package.filters[:]
    factory = logging.getLogRecordFactory()
    root.handlers[:] = [handler := Lines()]
    with log_fenced(handler):
        yield handler
    root.handlers[:], root.filters[:], package.handlers[:], package.filters[:] = before
    logging.setLogRecordFactory(factory)


def as_daemon(name: str = DAEMONS) -> None:
    """Log a line in code of the daemon."""
    call_as(CodeOwner.PROCESS, logging.getLogger(name).warning, "it %s", "goes on", extra={"found": 5})


def raiser(error: BaseException) -> Callable[..., Any]:
    def raises(*_: object, **__: object) -> Any:
        raise error

    return raises


def filter_that(handler: Callable[..., Any]) -> logging.Filter:
    made = logging.Filter()
    made.filter = handler  # type: ignore[method-assign]
    return made


def filtered(handler: Callable[..., Any]) -> logging.Handler:
    made = Lines()
    made.addFilter(filter_that(handler))
    return made


def format_with(formatter: Callable[..., Any]) -> None:
    made = logging.Formatter()
    made.format = formatter  # type: ignore[method-assign]
    logging.getLogger().handlers[0].setFormatter(made)


MISDEEDS: dict[str, Callable[[BaseException], object]] = {
    "a handler behind ours": lambda error: logging.getLogger().addHandler(Fails(error)),
    "a handler before ours": lambda error: logging.getLogger("perdure").addHandler(Fails(error)),
    "a filter of the logger": lambda error: logging.getLogger(DAEMONS).addFilter(filter_that(raiser(error))),
    "a filter of a handler": lambda error: logging.getLogger().addHandler(filtered(raiser(error))),
    "the factory": lambda error: logging.setLogRecordFactory(raiser(error)),
}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("name", MISDEEDS)
def test_an_error_in_logging_reaches_no_caller_and_the_line_is_written_and_the_failure_reported_once(
    ours: Lines, name: str, error: BaseException
) -> None:
    try:
        # Given a part of the log that the app has added and that raises,
        MISDEEDS[name](error)
        # when the daemon writes lines, from its own code or from a thread,
        as_daemon()
        logging.getLogger(DAEMONS).warning("it goes on")
    finally:
        logging.getLogger(DAEMONS).filters.clear()
    # then they are written, and one more line names the part that has failed.
    told = [line for line in ours.lines if f"has raised {type(error).__name__}: {error}" in line]
    assert len(told) == 1
    assert [line for line in ours.lines if line not in told] == ["it goes on", "it goes on"]


@pytest.mark.parametrize("made", [None, 5, "line"])
def test_a_factory_that_makes_no_record_is_done_without(ours: Lines, made: Any) -> None:
    logging.setLogRecordFactory(lambda *_, **__: made)
    as_daemon()
    assert ours.lines[-1] == "it goes on"


def test_a_formatter_of_our_own_handler_that_fails_costs_the_form_and_not_the_line(
    ours: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    format_with(raiser(KeyboardInterrupt()))
    as_daemon()
    assert capsys.readouterr().err.splitlines()[-1] == "it goes on"


def test_a_handler_that_logs_itself_ends(ours: Lines) -> None:
    logging.getLogger().addHandler(Again())
    as_daemon()
    assert ours.lines[0] == "it goes on"


def test_where_all_other_handlers_fail_the_daemons_lines_still_go_to_its_own(ours: Lines) -> None:
    logging.getLogger().handlers[:] = [Fails(RuntimeError("full")), Fails(SystemExit(1))]
    as_daemon()
    assert ours.lines[-1] == "it goes on"


def test_without_a_handler_the_daemons_lines_still_go_to_its_own(ours: Lines) -> None:
    logging.getLogger().handlers.clear()
    as_daemon()
    logging.getLogger("orders").warning("of the app")
    assert ours.lines == ["it goes on"]


@pytest.mark.parametrize("name", ["orders", "perdure.activity.charge", "perdure.workflow.order"])
def test_code_of_the_app_that_logs_gets_the_error_as_in_any_program(ours: Lines, name: str) -> None:
    logging.getLogger().addHandler(Fails(RuntimeError("full")))
    with pytest.raises(RuntimeError, match="full"):
        logging.getLogger(name).warning("hello")


@pytest.mark.parametrize("name", ["asyncio", "grpc._cython.cygrpc", "orders"])
def test_a_library_that_works_for_the_daemon_does_not(ours: Lines, name: str) -> None:
    logging.getLogger().addHandler(Fails(RuntimeError("full")))
    as_daemon(name)
    assert ours.lines[0] == "it goes on"


@pytest.mark.parametrize("error", [StopAsked(15), CodeInterrupted("w", limit_s=1, line="l")])
def test_what_is_meant_for_the_code_that_runs_reaches_it(ours: Lines, error: BaseException) -> None:
    logging.getLogger().addHandler(Fails(error))
    with pytest.raises(type(error)):
        as_daemon()


def test_filters_levels_and_loggers_that_are_switched_off_count_as_ever(ours: Lines) -> None:
    other = logging.getLogger(f"{DAEMONS}.other")
    other.addFilter(filter_that(lambda record: record.getMessage() != "dropped"))
    ours.setLevel(logging.ERROR)
    for say, text in ((other.warning, "low"), (other.error, "dropped"), (other.error, "kept")):
        say(text)
    other.disabled = True
    other.error("off")
    assert ours.lines == ["kept"]


def test_it_is_told_again_after_a_while() -> None:
    now_s = 0.0
    handler, origin = Lines(), logging.Logger(DAEMONS)
    fence = LogFence(handler, lambda: now_s)
    origin.handlers = [Fails(RuntimeError("full"))]
    record = logging.LogRecord(DAEMONS, logging.WARNING, "", 0, "hello", (), None)
    told = []
    for now_s in (0.0, INTERVAL_S - 1, INTERVAL_S, INTERVAL_S + 1):  # noqa: B007  the clock reads it
        fence.handle(logging.Logger.handle, origin, record)
        told.append(sum("has raised" in line for line in handler.lines))
    assert told == [1, 1, 2, 2]


def test_behind_the_block_logging_is_as_before() -> None:
    before = logging.Logger.makeRecord, logging.Logger.handle
    with log_fenced(Lines()):
        assert logging.Logger.handle is not before[1]
    assert (logging.Logger.makeRecord, logging.Logger.handle) == before
