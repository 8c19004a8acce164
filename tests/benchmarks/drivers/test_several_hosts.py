"""Several hosts in process: their loads run together, and one that fails ends them all."""

import os
import sys
from pathlib import Path

import anyio
import pytest

from perdure.benchmarks.drivers import several_hosts
from perdure.benchmarks.drivers.load import Extent
from perdure.benchmarks.drivers.process_driver import EngineSetup
from perdure.benchmarks.drivers.several_hosts import HostEnded, Watcher, part_of, run_several_hosts, shares
from perdure.benchmarks.run_process import ProgressMessage, first_of
from perdure.benchmarks.workloads.table import BY_NAME

pytestmark = pytest.mark.anyio

CHAIN = BY_NAME["W1"].with_in_flight(5)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Parts:
    def __init__(self) -> None:
        self.told: list[tuple[float, int]] = []

    def part(self, share: float, units: int) -> None:
        self.told.append((share, units))


async def run(folder: Path, instances: int = 11) -> dict[str, float]:
    setup = EngineSetup(folder=folder, processes=2)
    with anyio.fail_after(60):
        return (await run_several_hosts(setup, CHAIN, Extent(seconds=1, instances=instances), Parts())).figures


def test_a_number_is_dealt_out_evenly() -> None:
    assert [part_of(11, index, 3) for index in range(3)] == [4, 4, 3]
    assert [part_of(1, index, 3) for index in range(3)] == [1, 0, 0]


def test_the_load_is_dealt_out_and_the_time_is_not(tmp_path: Path) -> None:
    dealt = shares(EngineSetup(folder=tmp_path, processes=2), CHAIN, Extent(seconds=3), "/sockets")
    assert [(each.index, each.of, each.in_flight, each.seconds, each.instances) for each in dealt] == [
        (0, 2, 3, 3, None),
        (1, 2, 2, 3, None),
    ]


def test_how_far_all_are_is_told_together() -> None:
    parts = Parts()
    watcher = Watcher(parts, 2)
    watcher.note(0, ProgressMessage(0.5, 10))
    watcher.note(1, ProgressMessage(1.0, 7))
    watcher.note(0, ProgressMessage(1.0, 20))
    assert parts.told == [(0.25, 10), (0.75, 17), (1.0, 27)]


async def test_hosts_run_all_instances_and_each_has_its_part_of_the_store(tmp_path: Path) -> None:
    figures = await run(tmp_path)
    assert figures["instances"] == 11
    assert figures["turns_per_unit"] == pytest.approx(6 / 5), "a start and five results, on whichever host"
    assert {name for name in os.listdir(tmp_path) if name.endswith((".db", ".1"))} == {
        "perdure.db",
        "perdure.db.1",
    }


# Stands in for a host: notes what it does in a file that all share, one line each.
FAKE = """
import json, os, pathlib, sys

share = json.loads(sys.argv[1])
index, notes = share["index"], pathlib.Path(share["folder"]) / "notes"

def note(what):
    with notes.open("a") as file:
        file.write(f"{what} {index}\\n")

def say(kind, **fields):
    print(json.dumps({"type": kind, **fields}), flush=True)

def word():
    return os.read(0, 1)

"""
EMPTY = '{"spans": [[0, 1]], "engine": {"cpu_s": 0, "rss_bytes": 0}, "load_cpu_s": None, "counts": None}'


def fake(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    path = folder / "fake.py"
    path.write_text(FAKE + program)
    monkeypatch.setattr(several_hosts, "COMMAND", (sys.executable, str(path)))


async def test_nobody_sums_up_before_all_loads_are_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a second host whose load is over only after that of the first,
    fake(
        monkeypatch,
        tmp_path,
        f"""
say("Connected")
assert word()
while index == 1 and "over 0" not in notes.read_text():
    pass
note("over")
say("Over")
assert word()
note("sum")
say("Summed", tally={EMPTY})
assert not word()
note("end")
""".replace("notes.read_text()", "(notes.read_text() if notes.exists() else '')"),
    )
    # when both are run, then each step is taken by both before the next by any.
    assert (await run(tmp_path))["instances"] == 2
    steps = [line.split()[0] for line in (tmp_path / "notes").read_text().splitlines()]
    assert steps == ["over", "over", "sum", "sum", "end", "end"]


async def test_a_host_that_ends_before_its_time_ends_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two hosts, of which one fails and the other goes on whatever it is told,
    fake(
        monkeypatch,
        tmp_path,
        """
note(os.getpid())
say("Connected")
assert word()
if index == 1:
    sys.exit(1)
import signal
signal.pause()
""",
    )
    # when they are run, then the run ends and says which one failed,
    with pytest.raises(ExceptionGroup) as caught:
        await run(tmp_path)
    assert str(first_of(caught.value)) == "host 2 of 2 did not end in order; why stands above"
    # and nobody is left.
    for line in (tmp_path / "notes").read_text().splitlines():
        with pytest.raises(ProcessLookupError):
            os.kill(int(line.split()[0]), 0)


async def test_a_host_that_does_not_leave_in_order_makes_the_run_void(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(
        monkeypatch,
        tmp_path,
        f"""
for message in ({{"kind": "Connected"}}, {{"kind": "Over"}}, {{"kind": "Summed", "tally": {EMPTY}}}):
    say(**message)
    word()
sys.exit(3 * index)
""",
    )
    with pytest.raises(HostEnded, match="host 2 of 2"):
        await run(tmp_path)
