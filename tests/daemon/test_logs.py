"""Every message goes to standard error, one line each, in the configured form."""

import json
import logging
import re
from collections.abc import Iterator

import pytest

from perdure.daemon.logs import CHATTY, OneLine, configure_logging

from ..support.workflows.hard_exceptions import HARD_EXCEPTIONS


@pytest.fixture(autouse=True)
def the_logging_of_before() -> Iterator[None]:
    """Give the root logger back to pytest afterwards."""
    root = logging.getLogger()
    before = (root.level, list(root.handlers), {name: logging.getLogger(name).level for name in CHATTY})
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    for name, level in before[2].items():
        logging.getLogger(name).setLevel(level)


def test_a_message_is_one_line_with_time_level_and_origin(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "text")
    logging.getLogger("orders").info("%d paperclips", 4)
    output = capsys.readouterr()
    assert output.out == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO orders: 4 paperclips\n", output.err)


def test_each_of_several_hosts_says_which_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "text", host="host-1")
    logging.getLogger("orders").info("4 paperclips")
    assert re.search(r"Z INFO host-1 orders: 4 paperclips\n$", capsys.readouterr().err)
    configure_logging("info", "json", host="host-1")
    logging.getLogger("orders").info("4 paperclips", extra={"host": "not this"})
    assert json.loads(capsys.readouterr().err)["host"] == "host-1"


def test_a_process_that_is_alone_does_not_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    logging.getLogger("orders").info("4 paperclips")
    assert "host" not in json.loads(capsys.readouterr().err)


def test_a_message_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("warning", "text")
    logging.getLogger("orders").info("nobody asked")
    logging.getLogger("orders").warning("look here")
    assert "nobody asked" not in (written := capsys.readouterr().err)
    assert "look here" in written


def test_a_json_line_holds_the_message_what_came_with_it_and_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    try:
        raise ValueError("no paper")
    except ValueError:
        logging.getLogger("orders").exception('a "hard" one\nto quote', extra={"instance_id": "order-1", "level": "x"})
    (line,) = capsys.readouterr().err.splitlines()
    message = json.loads(line)
    assert message["message"] == 'a "hard" one\nto quote'
    assert (message["level"], message["logger"], message["instance_id"]) == ("ERROR", "orders", "order-1")
    assert message["error"].endswith("ValueError: no paper")


def test_what_cannot_be_json_is_written_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    logging.getLogger("orders").info("hello", extra={"what": object})
    assert json.loads(capsys.readouterr().err)["what"] == "<class 'object'>"


def test_debug_leaves_out_the_libraries_that_report_every_statement(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("debug", "text")
    logging.getLogger("orders").debug("mine")
    logging.getLogger("aiosqlite").debug("executing")
    written = capsys.readouterr().err
    assert "mine" in written
    assert "executing" not in written


def test_a_second_configuration_takes_the_place_of_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("debug", "text")
    configure_logging("error", "json")
    logging.getLogger("aiosqlite").warning("not this")
    logging.getLogger("orders").error("only this")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "only this"


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("name", sorted(HARD_EXCEPTIONS))
def test_whatever_exception_is_logged_the_line_is_written(
    name: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info", form)
    error = HARD_EXCEPTIONS[name]()
    logging.getLogger("orders").error("it broke", exc_info=(type(error), error, None))
    written = capsys.readouterr().err
    assert "it broke" in written
    assert "Logging error" not in written


def test_the_traceback_of_a_record_from_another_process_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("text", "json"):
        configure_logging("info", form)
        record = logging.makeLogRecord(
            {"name": "shop", "levelno": 40, "levelname": "ERROR", "msg": "it broke", "exc_text": "LookupError: no"}
        )
        logging.getLogger().handle(record)
        assert "LookupError: no" in capsys.readouterr().err


def test_a_library_that_logs_a_traceback_for_what_a_client_sent_has_one_line_with_a_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("info", "text")
    library = logging.getLogger("grpc._cython.cygrpc")
    [one_line] = [each for each in library.filters if isinstance(each, OneLine)]
    now_s = 0.0
    one_line._clock = lambda: now_s
    for number in range(60):
        now_s += 0.25
        try:
            raise ValueError(f"junk {number}")
        except ValueError:
            library.exception("Unexpected [%s] raised by a method", "ValueError")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("Unexpected [ValueError] raised by a method: ValueError: junk 0")
    assert second.endswith("ValueError: junk 40 (39 more such lines before)")
    library.removeFilter(one_line)
