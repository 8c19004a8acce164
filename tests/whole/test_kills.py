"""A hundred kills under load: nothing that was acknowledged is lost, doubled, out of order or early.

The counts are printed: `pytest -s -m slow tests/whole/test_kills.py`.
"""

import asyncio
import contextlib
import random
from pathlib import Path

import psutil
import pytest

from ..support.processes.daemon import Daemon
from ..support.processes.ledgers import Clients, Findings, Ledger, findings, write_app

# Clients send requests without a pause. With three of them each kill meets requests under way.
MANY_CLIENTS, FEW_CLIENTS = 8, 3
SEED = 20_261_126


def kill_all(daemon: Daemon) -> None:
    """End a daemon and its hosts as a power cut would."""
    hosts = daemon.hosts()
    daemon.kill()
    for host in hosts:
        with contextlib.suppress(psutil.NoSuchProcess):
            host.kill()


async def killed_under_load(folder: Path, *, kills: int, clients: int, processes: int) -> Findings:
    """Kill a daemon again and again while clients fill ledgers, and read the ledgers in the end."""
    app, data = write_app(folder), folder / "ledgers.db"
    moments = random.Random(SEED)
    options = ["--processes", str(processes)] if processes > 1 else []
    with contextlib.ExitStack() as running:
        daemons: list[Daemon] = []

        def start() -> None:
            daemons.append(running.enter_context(Daemon(app, data, *options)))

        start()
        callers, stop = Clients(lambda: daemons[-1].url), asyncio.Event()
        load = asyncio.ensure_future(callers.run(clients=clients, stop=stop))
        for number in range(kills):
            await asyncio.sleep(moments.uniform(0.05, 0.4))
            if processes > 1 and number % 2 and (hosts := daemons[-1].hosts()):
                moments.choice(hosts).kill()  # which the supervisor starts again
                continue
            kill_all(daemons[-1])
            await asyncio.to_thread(start)
        stop.set()
        await load
        found = findings(await callers.outputs(within_s=120))
        assert daemons[-1].stop() == 0
    return found


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_hundred_kills_lose_double_reorder_and_hasten_nothing(tmp_path: Path, processes: int) -> None:
    found = asyncio.run(killed_under_load(tmp_path, kills=100, clients=MANY_CLIENTS, processes=processes))
    print(f"\n100 kills, {processes} processes: {found}")
    assert found.entries > 500
    assert found.faults == 0, found


@pytest.mark.parametrize("processes", [1, 2])
def test_a_few_kills_do_so_too(tmp_path: Path, processes: int) -> None:
    found = asyncio.run(killed_under_load(tmp_path, kills=3, clients=FEW_CLIENTS, processes=processes))
    assert found.entries > 30
    assert found.faults == 0, found


@pytest.mark.parametrize(
    ("fault", "got", "early"),
    [
        ("lost", [0, 2], 0),
        ("doubled", [0, 1, 1, 2], 0),
        ("invented", [0, 1, 2, 7], 0),
        ("out_of_order", [1, 0, 2], 0),
        ("early", [0, 1, 2], 1),
    ],
)
def test_each_fault_of_a_ledger_is_found(fault: str, got: list[int], early: int) -> None:
    ledger = Ledger("l", started=True, sent={0, 1, 2, 3}, acknowledged=[0, 1, 2])
    found = findings([(ledger, {"got": got, "early": early})])
    assert found.faults == 1
    assert len(getattr(found, fault)) == 1


def test_an_entry_that_was_sent_and_not_acknowledged_may_be_there() -> None:
    ledger = Ledger("l", started=True, sent={0, 1, 2, 3}, acknowledged=[0, 3])
    assert findings([(ledger, {"got": [0, 1, 3], "early": 0})]).faults == 0
