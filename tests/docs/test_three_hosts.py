"""The guide from one machine to three tells the truth: its commands run, on three daemons, one of which is killed."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perdure.actors.store.copying.copying import Totals
from perdure.cli.main import main

from ..support.docs.blocks import blocks, commands_of
from ..support.docs.printed import shows
from ..support.docs.reader import within
from ..support.paths import ROOT
from ..support.postgres import PostgresServer, installed
from ..support.processes.daemon import Daemon

pytestmark = pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")

PAGE = "docs/from-one-machine-to-three.md"
URL = "postgresql://postgres@127.0.0.1:5432/shop"
SHARDS = 1024
NOBODY = "http://127.0.0.1:1"


class Machine:
    """Where the reader of the guide works: the daemons, and what the text has been told to do between commands."""

    def __init__(self, page: str, folder: Path, data: str, running: ExitStack) -> None:
        app = re.search(r"^<!-- file: shop.py -->\n```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        assert app is not None
        # So long nobody waits in a test. What is under way is under way for longer than the copy takes.
        (folder / "shop.py").write_text(app[1].replace("seconds=20", "seconds=3"))
        self._folder = folder
        self._data = data
        self._running = running
        self.daemons: list[Daemon] = [self._daemon(str(folder / "perdure.db"))]

    def _daemon(self, data: str) -> Daemon:
        log = self._folder / f"{len(list(self._folder.glob('*.log')))}.db"
        return self._running.enter_context(Daemon(self._folder / "shop.py", log, "--data", data))

    def end_the_first(self) -> None:
        assert self.daemons.pop().stop() == 0

    def begin_on_the_database(self) -> None:
        self.daemons.append(self._daemon(self._data))

    def add_two(self) -> None:
        self.begin_on_the_database()
        self.begin_on_the_database()

    def kill_one(self) -> None:
        self.daemons.pop().kill()

    def run(self, *arguments: str, given: str | None = None) -> Result:
        """Run a command against the first daemon."""
        at = [self._data if word == URL else word for word in arguments]
        at = [str(self._folder / word) if word == "perdure.db" else word for word in at]
        return run_at(self.daemons[0].url if self.daemons else NOBODY, *at, given=given)


def run_at(url: str, *arguments: str, given: str | None = None) -> Result:
    """Run a command against the daemon at an address."""
    return CliRunner().invoke(main, arguments, input=given, env={"PERDURE_SERVER": url})


def shares(printed: str) -> Counter[int]:
    """How many hosts have so many shards, by the output of `perdure hosts`."""
    head, *rows = printed.splitlines()
    at = head.split().index("SHARDS")
    return Counter(int(row.split()[at]) for row in rows)


def even(hosts: int) -> Counter[int]:
    return Counter(SHARDS // hosts + (index < SHARDS % hosts) for index in range(hosts))


def test_the_guide_shows_what_a_copy_counts() -> None:
    # The whole guide is walked among the slow tests only.
    assert f"both are the same: {Totals(actors=1, entries=2, reminders=1)}.\n" in (ROOT / PAGE).read_text()


@pytest.mark.slow
def test_the_guide_from_one_machine_to_three_works(tmp_path: Path, own_server: PostgresServer) -> None:
    page = (ROOT / PAGE).read_text()
    own_server.sql("CREATE DATABASE shop ENCODING 'UTF8' TEMPLATE template0")
    data = f"postgresql://postgres@127.0.0.1:{own_server.port}/shop"
    with ExitStack() as running:
        machine = Machine(page, tmp_path, data, running)
        # What the text has its reader do before the commands of a block, in their order.
        before: Iterator[tuple[str, Callable[[], None]]] = iter(
            [
                ("perdure store copy", machine.end_the_first),
                ("perdure wait order-1", machine.begin_on_the_database),
                ("perdure hosts", lambda: None),
                ("perdure hosts", machine.add_two),
                ("perdure hosts", machine.kill_one),
            ]
        )
        awaited, do = next(before)
        walked = 0
        shown = (each for block in blocks(PAGE) if block.language == "console" for each in commands_of(block))
        for command, lines in ((each.text, each.shown) for each in shown):
            if not command.startswith("perdure "):
                continue  # of PostgreSQL
            if command.startswith(awaited):
                do()
                awaited, do = next(before, ("nothing more", do))
            arguments = re.findall(r"'[^']*'|\S+", command)[1:]
            arguments = [word.strip("'") for word in arguments]
            walked += 1
            if arguments == ["hosts"]:
                within(lambda lines=lines: shares(machine.run("hosts").stdout) == even(len(lines) - 1))  # type: ignore[misc]
                assert shares("\n".join(lines)) == even(len(lines) - 1)
                assert machine.run("hosts").stdout.splitlines()[0].split() == lines[0].split()
                continue
            result = machine.run(*arguments)
            printed = result.output.replace(data, URL).replace(f"{tmp_path}/", "")
            assert shows(printed.splitlines(), lines), f"$ {command}\n{result.output}"
        assert (walked, awaited) == (13, "nothing more")
