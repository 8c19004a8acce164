"""The pages that show commands tell the truth: each command runs in its order, and prints what the page shows.

Blocks that begin with ```console are read. Ids that the daemon makes, times, lengths of time and of texts are not
compared, nor are the widths of columns; a line `...` stands for any number of lines.
"""

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner, Result

from perdure.cli.main import main
from perdure.runtime.history.event import TimerFired
from perdure.runtime.history.row import Row
from perdure.runtime.operations.steering.exported import turn_lines

from ..support.paths import ROOT
from ..support.processes.daemon import Daemon

BLOCK = re.compile(r"^( *)```console\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PATIENCE_S = 30.0
ANY = "..."

Run = Callable[..., Result]


class Shown(NamedTuple):
    """A command of a page."""

    command: str
    lines: Sequence[str]  # that it is said to print


def commands(page: str) -> Iterator[Shown]:
    """The commands of a page, in their order. A `\\` at the end of a line joins the next one to it."""
    for indent, block in BLOCK.findall(page):
        text = re.sub(f"^{indent}", "", block, flags=re.MULTILINE)
        for part in re.split(r"^\$ ", text.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
            command, *lines = part.splitlines()
            yield Shown(re.sub(" +", " ", command), lines)


def compared(lines: Sequence[str]) -> list[str]:
    """Lines without what differs from day to day."""
    kept = []
    for line in lines:
        text = re.sub(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b[0-9a-f]{32}\b", "<id>", line)
        text = re.sub(r"\d{4}-\d\d-\d\d[ T][\d:]{8}(\.\d+Z)?", "<moment>", text)
        text = re.sub(r"(?<![\w-])(\d+(\.\d+)?[dhms])+\b", "<time>", text)
        text = re.sub(r"[\d,]+ bytes", "<size>", text)
        text = re.sub(r"\b\d{16}\b", "<moment>", text)
        if text := re.sub(r"\s+", " ", text).strip():
            kept.append(text)
    return kept


def shows(printed: Sequence[str], shown: Sequence[str]) -> bool:
    """Whether what was printed is what a page shows."""
    pattern = "".join(r"(?:.*\n)*?" if line == ANY else re.escape(line) + r"\n" for line in compared(shown))
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in compared(printed))) is not None


def within(condition: Callable[[], bool]) -> None:
    """Wait for something that the daemon does by itself."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def walk(page: str, run: Run, before: dict[str, Callable[[], None]]) -> list[str]:
    """Run the commands of a page, and return them.

    Args:
        before: What the text of the page has a reader do before a command.
    """
    done = []
    for command, lines in commands(page):
        if not command.startswith("perdure ") or ">" in command:
            continue  # of the shell
        before.get(command, lambda: None)()
        result = through(command.split(" | "), run)
        assert shows(result.output.splitlines(), lines), "\n".join([f"$ {command}", result.output, "is not", *lines])
        done.append(command)
    return done


def through(parts: Sequence[str], run: Run) -> Result:
    """Run the commands of a pipe, and return what the last one has done."""
    *before, last = (shlex.split(part)[1:] for part in parts)
    given = None
    for arguments in before:
        given = run(*arguments, given=given).stdout
    result = run(*last, given=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), last
    return result


def runner(daemon: Daemon) -> Run:
    """Run a command against a daemon."""

    def run(*arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(main, arguments, input=given, env={"PERDURE_SERVER": daemon.url})

    return run


def test_see_and_steer(tmp_path: Path) -> None:
    page = (ROOT / "docs/see-and-steer.md").read_text()
    with Daemon(ROOT / "examples/order_processing.py", tmp_path / "perdure.db") as daemon:
        run = runner(daemon)

        def waits(*ids: str) -> None:
            for each in ids:
                within(lambda each=each: "approval" in run("show", each).output)  # type: ignore[misc]

        def start_three_more() -> None:
            for number in (19, 20, 21):
                given = '{"Name": "Paperclips", "TotalCost": 99.95, "Quantity": 4}'
                run("start", "OrderProcessingWorkflow", "--id", f"order-{number}", "--input", given)
            waits("order-17", "order-19", "order-20", "order-21")

        def until_a_second_has_passed() -> None:
            within(lambda: len(run("ls", "--updated-before", "1s", "-o", "ids").output.split()) == 5)

        purge = "perdure purge --all-matching --status completed,terminated --updated-before 1s --yes"
        done = walk(page, run, {"perdure ls": start_three_more, purge: until_a_second_has_passed})
    assert purge in done
    assert len(done) >= 13


HEAD = "from datetime import timedelta\n\nimport anyio\n\nimport perdure\n\napp = perdure.App('shipping')\n"


def test_stuck_instances(tmp_path: Path) -> None:
    page = (ROOT / "docs/stuck-instances.md").read_text().replace("--stuck-for 15m", "--stuck-for 0.1s")
    app = re.search(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert app is not None
    (tmp_path / "app.py").write_text(HEAD + app[1])
    with Daemon(tmp_path / "app.py", tmp_path / "perdure.db") as daemon:
        run = runner(daemon)

        def start(*names: str) -> None:
            for name in names:
                run("start", "ship", "--id", name, "--input", f'"{name}"')

        def two_hang() -> None:
            start("order-1", "order-2")
            within(lambda: run("count", "--stuck-for", "0.1s", "--by", "status").output.split()[-1:] == ["2"])

        def the_bank_is_away() -> None:
            start("order-3")
            within(lambda: "59m" in run("show", "order-3").output)

        done = walk(page, run, {"perdure ls --stuck-for 0.1s": two_hang, "perdure show order-3": the_bank_is_away})
    assert len(done) >= 14


def test_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs/exports.md").read_text()
    app = re.search(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert app is not None
    (tmp_path / "app.py").write_text(HEAD + app[1])
    monkeypatch.chdir(tmp_path)  # for the files of the page
    with Daemon(tmp_path / "app.py", tmp_path / "perdure.db") as daemon:
        done = walk(page, runner(daemon), {})
    assert len(done) >= 8
    one, other = (Path(f"order-{number}.ndjson").read_text() for number in (17, 18))
    assert other == one.replace('"id":"order-17"', '"id":"order-18"')


def test_the_page_of_exports_names_every_key_of_a_line() -> None:
    page = (ROOT / "docs/exports.md").read_text()
    everything = Row(1, None, [TimerFired(1, 1)], 1, ("go",))
    (line,) = turn_lines(0, everything)
    in_the_table = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert in_the_table == json.loads(line).keys() - {"turn", "event", "held"}
    assert '`"held":true`' in page


def test_what_differs_from_a_page_is_found_out() -> None:
    printed = ["ID        STATUS  AGE", "order-17  FAILED  3m2s", "at 2026-11-27 02:28:55", "4 events, 1,024 bytes"]
    shown = ["ID STATUS AGE", "order-17  FAILED  12s", "at 2026-01-01 11:51:54", "4 events, 365 bytes"]
    assert shows(printed, shown)
    assert shows(printed, [shown[0], ANY, shown[3]])
    assert not shows(printed, shown[:3])
    assert not shows(printed, [*shown, "more"])
    assert not shows(printed, [*shown[:3], "5 events, 365 bytes"])
    assert not shows(printed, [shown[0], "order-18  FAILED  12s", *shown[2:]])
    assert not shows(printed, [shown[0], "order-17  COMPLETED  12s", *shown[2:]])
