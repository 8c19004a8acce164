"""Of each kind of line as many are written as its burst allows; what follows is one line with a count."""

import logging

import pytest

from perdure.journal.journal import KINDS_MAX, TEXT_CHARS_MAX, Journal
from perdure.journal.line import LogLine, Note

ONE = LogLine("refused", logging.WARNING, "refused: {number}", ("number",), 1)
THREE = ONE._replace(event="thrice", burst=3)
ABOUT = LogLine("failed", logging.WARNING, "{workflow} failed", ("workflow",), 1)
SENTENCE = LogLine("broke", logging.INFO, "it broke: {reason}. It is tried again")
SAID = LogLine("said", logging.INFO, "{text}")


class FakeClock:
    """A clock that stands where the test puts it."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def journal(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> Journal:
    caplog.set_level(logging.INFO)
    return Journal("junk", interval_s=10, clock=clock)


def test_a_line_is_a_sentence_with_fields(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    journal.note(Note(ONE, {"number": 4}))
    (record,) = caplog.records
    assert (record.name, record.levelname, record.getMessage()) == ("junk", "WARNING", "refused: 4")
    assert {"event": "refused", "number": 4}.items() <= vars(record).items()
    assert "count" not in vars(record)


def test_a_flood_is_two_lines(journal: Journal, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1000):
        journal.write(ONE, number=number)
    assert caplog.messages == ["refused: 0"]
    clock.now_s += 9
    assert journal.flush()
    assert len(caplog.messages) == 1
    clock.now_s += 1
    assert not journal.flush()
    assert caplog.messages == ["refused: 0", "refused: 999 (999 such lines in 10 s)"]
    assert vars(caplog.records[1])["count"] == 999
    assert not journal.flush()
    assert len(caplog.messages) == 2


def test_a_burst_is_written_whole(journal: Journal, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(5):
        journal.write(THREE, number=number)
    assert caplog.messages == ["refused: 0", "refused: 1", "refused: 2"]
    journal.flush(now=True)
    assert caplog.messages[3:] == ["refused: 4 (2 such lines in 0 s)"]
    clock.now_s += 20
    journal.write(THREE, number=6)
    assert caplog.messages[4:] == ["refused: 6"]


def test_the_next_line_after_an_interval_brings_the_count(
    journal: Journal, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        journal.write(ONE, number=number)
    clock.now_s += 20
    journal.write(ONE, number=3)
    assert caplog.messages == ["refused: 0", "refused: 3 (3 such lines in 20 s)"]


def test_one_that_was_left_out_alone_has_no_count(
    journal: Journal, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    journal.write(ONE, number=1)
    clock.now_s += 20
    journal.write(ONE, number=2)
    journal.write(ONE, number=3)
    clock.now_s += 20
    journal.flush()
    assert caplog.messages == ["refused: 1", "refused: 2", "refused: 3"]


def test_workflows_are_counted_apart_up_to_a_number_of_them(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        journal.write(ABOUT, workflow="a")
        journal.write(ABOUT, workflow="b")
    assert caplog.messages == ["a failed", "b failed"]
    for number in range(2 * KINDS_MAX):  # as clients could make them up
        journal.write(ABOUT, workflow=f"w{number}")
    assert len(caplog.messages) <= KINDS_MAX + 1


def test_a_journal_of_another_module_has_its_logger_and_shares_the_counts(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    other = journal.at("other")
    other.write(ONE, number=1)
    journal.write(ONE, number=2)
    journal.flush(now=True)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("other", "refused: 1"),
        ("junk", "refused: 2"),
    ]


def test_it_says_when_lines_begin_to_be_left_out(journal: Journal) -> None:
    told: list[bool] = []
    journal.on_left_out(lambda: told.append(True))
    for number in range(5):
        journal.at("other").write(ONE, number=number)
    assert told == [True]


def test_what_is_below_the_level_is_neither_written_nor_counted(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    for number in range(5):
        journal.write(ONE, number=number)
    assert not journal.flush(now=True)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("two\nlines\r\n", "two\\nlines\\r\\n"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("größer", "größer"),
        ("{not} a template", "{not} a template"),
        ("\udcff", "\\udcff"),
        ("x" * (TEXT_CHARS_MAX + 1), "x" * TEXT_CHARS_MAX + "…"),
    ],
)
def test_a_sentence_stays_one_line_whatever_the_values_are(
    journal: Journal, caplog: pytest.LogCaptureFixture, text: str, said: str
) -> None:
    journal.write(SAID, text=text)
    assert caplog.messages == [said]


def test_an_error_of_ours_has_its_traceback(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    journal.write(SAID, text="it broke", exc_info=KeyError("x"))
    assert "KeyError: 'x'" in caplog.text


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("a fault", "it broke: a fault. It is tried again"),
        ("A sentence.", "it broke: A sentence. It is tried again"),
        ("it goes on...", "it broke: it goes on.... It is tried again"),
        ("", "it broke: . It is tried again"),
    ],
)
def test_a_sentence_within_a_sentence_has_one_full_stop(
    journal: Journal, caplog: pytest.LogCaptureFixture, reason: str, shown: str
) -> None:
    journal.write(SENTENCE, reason=reason)
    assert caplog.messages == [shown]


class Fails(logging.Handler):
    """A handler that raises, in place of calling `handleError`."""

    def emit(self, record: logging.LogRecord) -> None:
        raise ZeroDivisionError("the disk of the log")


@pytest.mark.parametrize("told", [True, False])
def test_a_handler_that_raises_breaks_nothing_that_writes_a_line(
    told: bool, journal: Journal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", told)
    handler = Fails()
    logging.getLogger("junk").addHandler(handler)
    try:
        journal.write(ONE, number=4)
    finally:
        logging.getLogger("junk").removeHandler(handler)
    assert ("ZeroDivisionError: the disk of the log" in capsys.readouterr().err) is told
