"""Every call of a store to the disk may fail: nothing acknowledged is lost, and no half of a store is left.

A real file under a real engine: its opens, writes, flushes, truncations and
deletions fail in turn, once or from then on. Afterwards the store is used without faults.
"""

import errno
import shutil
import sqlite3
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

import perdure
from perdure.actors.store.sqlite import maintenance
from perdure.actors.store.sqlite.maintenance import check

from ..actors.store.sqlite.test_schema import GOLDEN_1
from ..support.processes.io_shim import CALLS, CUT, Fault, Shim, can_be_built

pytestmark = pytest.mark.skipif(not can_be_built(), reason="there is no C compiler, or no Linux")

INSTANCES = 12
SAMPLES = 12  # of the calls of a kind, first and last among them

# Starts instances, and prints which of them were acknowledged. It may end by any error of the disk.
WORK = textwrap.dedent(f"""
    import sys, anyio, perdure
    app = perdure.App("work")
    @app.activity
    async def step(ctx, n): return n + 1
    @app.workflow
    async def work(ctx, n):
        for _ in range(3):
            n = await ctx.call_activity(step, input=n)
        return n
    async def main(data):
        async with perdure.Engine(app, data=data) as engine:
            for number in range({INSTANCES}):
                try:
                    print(await engine.client.start("work", input=0, instance_id=f"i{{number}}"), flush=True)
                except perdure.PerdureError:
                    pass
            await anyio.sleep(0.1)
    if __name__ == "__main__":
        anyio.run(main, sys.argv[1])
""")

# A daemon's app. The process is told to stop when the instance has been recovered, or after a while.
APP = textwrap.dedent("""
    import os, subprocess, threading, perdure
    app = perdure.App("recovers")
    def stop_in(seconds):
        # As an operator does: code of the app itself may not.
        timer = threading.Timer(seconds, subprocess.run, (["kill", "-TERM", str(os.getpid())],))
        timer.daemon = True
        timer.start()
    @app.activity
    async def step(ctx):
        stop_in(0.1)
        return "done"
    @app.workflow
    async def works(ctx):
        return await ctx.call_activity(step)
    stop_in(4)
""")

OPEN = textwrap.dedent("""
    import anyio
    from perdure.actors.store.sqlite.store import SqliteStore
    async def main():
        store = SqliteStore({data!r})
        await store.open()
        await store.close()
    anyio.run(main)
""")
OPERATIONS = {
    "backup": "from perdure.actors.store.sqlite.maintenance import backup; backup({data!r}, {new!r})",
    "spread": "from perdure.actors.store.sqlite.layout import spread; spread({data!r}, {new!r}, parts=2)",
    "open": OPEN,
    "migrate": OPEN,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the store; the shim recognizes it by its name."""
    folder = tmp_path / "shimmed-store"
    folder.mkdir()
    return folder


@pytest.fixture
def shim(tmp_path: Path) -> Shim:
    return Shim(tmp_path, "shimmed-store")


def program(folder: Path, source: str, *arguments: str) -> list[str]:
    file = folder.parent / "program.py"
    file.write_text(source)
    return [sys.executable, str(file), *arguments]


def samples(calls: int, most: int = SAMPLES) -> list[int]:
    """Numbers of calls, the first and the last among them."""
    if calls <= most:
        return list(range(1, calls + 1))
    return sorted({1 + round(index * (calls - 1) / (most - 1)) for index in range(most)})


def faults(
    shim: Shim, reset: Callable[[], list[str]], *, most: int = SAMPLES, calls: Iterable[str] = CALLS
) -> Iterator[Fault]:
    """The faults that a program can meet: each sampled call of each kind, in each way."""
    for call in calls:
        for nth in samples(shim.calls(reset(), call), most):
            fault = Fault(call=call, nth=nth)
            yield fault
            yield replace(fault, code=errno.ENOSPC, last=True)
            if call == "write":
                yield replace(fault, code=CUT)


def work_under(shim: Shim, folder: Path, fault: Fault) -> int:
    """Work under a fault, and look at the store when the disk works again.

    Returns:
        How many instances were acknowledged; all of them have completed.
    """
    data = folder / "work.db"
    remove(folder)
    ran = shim.run(program(folder, WORK, str(data)), fault)
    acknowledged = ran.stdout.split()
    if not data.exists():
        assert not acknowledged
        return 0
    anyio.run(complete, data, acknowledged)
    assert check(data) == [], fault
    return len(acknowledged)


async def complete(data: Path, acknowledged: list[str]) -> None:
    namespace: dict[str, Any] = {"__name__": "work"}
    exec(compile(WORK, "work", "exec"), namespace)  # noqa: S102  the app of the program above
    async with perdure.Engine(namespace["app"], data=data) as engine:
        with anyio.fail_after(30):
            for instance_id in acknowledged:
                state = await engine.client.wait(instance_id)
                assert (state.status, state.output) == (perdure.Status.COMPLETED, 3), instance_id


def remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def made(folder: Path, operation: str) -> Path:
    """A store with instances in it, to copy; one of an old version for the command that migrates it."""
    data = folder.parent / "original.db"
    if operation == "migrate":
        with closing(sqlite3.connect(data)) as connection:
            connection.executescript(GOLDEN_1)
            connection.execute("PRAGMA journal_mode = WAL")
    else:
        anyio.run(fill, data)
    return data


async def fill(data: Path) -> None:
    app = perdure.App("fill")

    @app.workflow
    async def quick(ctx: perdure.WorkflowContext) -> int:
        return 1

    async with perdure.Engine(app, data=data) as engine:
        for _ in range(20):
            await engine.client.run(quick)


def content(data: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"{data.as_uri()}?mode=ro", uri=True)) as connection:
        return [*connection.execute("SELECT type, id, record FROM actors ORDER BY id")]


def maintain_under(shim: Shim, folder: Path, original: Path, operation: str, fault: Fault) -> None:
    """Do something to a store under a fault: the store stays as it is, and a new one is whole or not there."""
    command, data = reset_store(folder, original, operation)
    before = content(data)
    ran = shim.run(command, fault)
    assert content(data) == before, fault
    if operation != "migrate":  # `check` leaves this to a daemon
        assert check(data) == [], fault
    new = folder / "new.db"
    if operation not in ("open", "migrate") and (new.exists() or ran.returncode == 0):
        assert check(new) == [], fault
    # and a second try without faults succeeds.
    for left in folder.glob("new.db*"):
        left.unlink()
    assert shim.run(command, replace(fault, nth=0)).returncode == 0, fault
    assert (content(data), check(data)) == (before, []), fault


def reset_store(folder: Path, original: Path, operation: str) -> tuple[list[str], Path]:
    remove(folder)
    data = folder / "store.db"
    shutil.copy(original, data)
    source = OPERATIONS[operation].format(data=str(data), new=str(folder / "new.db"))
    return program(folder, source), data


def restore_under(shim: Shim, folder: Path, original: Path, backup: Path, fault: Fault) -> None:
    """Restore a backup under a fault: no content is lost, and there is no half of a store."""
    command, data = reset_restore(folder, original, backup)
    old, new = content(data), content(backup)
    assert old != new
    ran = shim.run(command, fault)
    contents = {file.name: content(file) for file in folder.iterdir() if is_store(file)}
    assert old in contents.values(), fault
    assert contents.get(data.name, new) in (old, new), fault
    assert ran.returncode == 0 or "StoreFailed" in ran.stderr, (fault, ran.stderr)
    if ran.returncode == 0:
        assert contents[data.name] == new, fault
    # A second try without faults succeeds, and the store opens.
    assert shim.run(command, replace(fault, nth=0)).returncode == 0, fault
    assert (content(data), check(data)) == (new, []), fault
    assert old in [content(file) for file in folder.iterdir() if is_store(file)], fault
    opened = shim.run(program(folder, OPEN.format(data=str(data))), replace(fault, nth=0))
    assert opened.returncode == 0, (fault, opened.stderr)


def reset_restore(folder: Path, original: Path, backup: Path) -> tuple[list[str], Path]:
    remove(folder)
    data = folder / "store.db"
    for name in ("", ".id"):
        shutil.copy(f"{original}{name}", f"{data}{name}")
    source = (
        f"from perdure.actors.store.sqlite.offline.restoring import restore; restore({str(backup)!r}, {str(data)!r})"
    )
    return program(folder, source), data


def is_store(file: Path) -> bool:
    """Whether a file is a store, and not one that was being written."""
    if file.suffix == ".partial":
        return False
    with file.open("rb") as opened:
        return opened.read(16) == b"SQLite format 3\0"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    anyio.run(fill, tmp_path / "other.db")
    maintenance.backup(tmp_path / "other.db", tmp_path / "backup.db")
    return tmp_path / "backup.db"


def app_that_recovers(*, ends: bool = True) -> perdure.App:
    """The daemon's app, in this process."""
    app = perdure.App("recovers")

    @app.activity
    async def step(ctx: object) -> str:
        if not ends:
            await anyio.sleep_forever()
        return "done"

    @app.workflow
    async def works(ctx: perdure.WorkflowContext) -> str:
        return await ctx.call_activity(step)

    return app


async def leave_work(data: Path) -> None:
    """Leave an instance whose activity is under way."""
    async with perdure.Engine(
        app_that_recovers(ends=False), data=data, settings=perdure.Settings(stop_grace_s=0)
    ) as engine:
        await engine.client.start("works", instance_id="recovered")
        await anyio.sleep(0.05)


def reset_daemon(folder: Path, original: Path) -> list[str]:
    remove(folder)
    for name in ("", ".id"):
        shutil.copy(f"{original}{name}", f"{folder / 'store.db'}{name}")
    app = folder.parent / "recovers.py"
    app.write_text(APP)
    flags = ["--http-port", "0", "--grpc-port", "0", "--stop-grace", "0.1"]
    return [sys.executable, "-m", "perdure", "run", str(app), "--data", str(folder / "store.db"), *flags]


def start_under(shim: Shim, folder: Path, original: Path, fault: Fault) -> bool:
    """Start a daemon under a fault: it names the error, or serves and stops; then the instance is there.

    Returns:
        Whether it has served.
    """
    ran = shim.run(reset_daemon(folder, original), fault, timeout_s=30)
    served = ran.stdout.startswith("Perdure ready")
    assert "Traceback" not in ran.stderr, (fault, ran.stderr)
    assert served or "Error: " in ran.stderr, (fault, ran.stderr)
    # Without faults the instance completes, if it has not.
    anyio.run(recover, folder / "store.db")
    assert check(folder / "store.db") == [], fault
    return served


async def recover(data: Path) -> None:
    async with perdure.Engine(app_that_recovers(), data=data) as engine:
        with anyio.fail_after(30):
            state = await engine.client.wait("recovered")
    assert (state.status, state.output) == (perdure.Status.COMPLETED, "done")


def test_without_a_fault_all_instances_are_acknowledged(shim: Shim, folder: Path) -> None:
    ran = shim.run(program(folder, WORK, str(folder / "work.db")), Fault(call="write", nth=0))
    assert ran.stdout.split() == [f"i{number}" for number in range(INSTANCES)], ran.stderr


def test_a_few_faults_while_instances_work_lose_nothing(shim: Shim, folder: Path) -> None:
    # Of a start that is acknowledged: its first commit, and those of the last instances.
    calls = shim.calls(program(folder, WORK, str(folder / "work.db")), "write")
    remove(folder)
    for fault in (
        Fault(call="sync", nth=shim.calls(program(folder, WORK, str(folder / "work.db")), "sync") - 4),
        Fault(call="write", nth=calls // 2, code=CUT),
        Fault(call="write", nth=calls - calls // 4, code=errno.ENOSPC, last=True),
    ):
        assert work_under(shim, folder, fault) > 0, fault


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_few_faults_while_a_store_is_looked_after_leave_it_as_it_was(
    shim: Shim, folder: Path, operation: str
) -> None:
    original = made(folder, operation)
    for fault in (Fault(call="write", nth=2), Fault(call="open", nth=2)):
        maintain_under(shim, folder, original, operation, fault)


def test_the_shim_makes_calls_fail(shim: Shim, folder: Path) -> None:
    command = program(folder, f"with open({str(folder / 'file')!r}, 'w') as file: file.write('text')")
    assert shim.calls(command, "open") == 1
    assert "OSError: [Errno 28]" in shim.run(command, Fault(call="open", nth=1, code=errno.ENOSPC)).stderr
    assert "OSError: [Errno 5]" in shim.run(command, Fault(call="write", nth=1)).stderr
    assert shim.run(command, Fault(call="write", nth=2)).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_each_call_that_fails_while_instances_work_loses_nothing(shim: Shim, folder: Path, call: str) -> None:
    def reset() -> list[str]:
        remove(folder)
        return program(folder, WORK, str(folder / "work.db"))

    acknowledged = [work_under(shim, folder, fault) for fault in [*faults(shim, reset, calls=[call])]]
    print(
        f"\n{len(acknowledged)} faults of {call} while instances work: of {sum(acknowledged)} acknowledged none is lost"
    )
    # SQLite has a file of this size in memory, and so reads nothing from the disk.
    assert acknowledged or call == "read"


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_call_that_fails_while_a_store_is_looked_after_leaves_it_as_it_was(
    shim: Shim, folder: Path, operation: str
) -> None:
    original = made(folder, operation)
    count = 0
    for fault in [*faults(shim, lambda: reset_store(folder, original, operation)[0])]:
        maintain_under(shim, folder, original, operation, fault)
        count += 1
    print(f"\n{count} faults in {operation}: the store is as it was")
    assert count > 5


def test_a_few_faults_while_a_backup_is_restored_lose_nothing(
    shim: Shim, folder: Path, tmp_path: Path, backup: Path
) -> None:
    original = made(folder, "restore")
    for fault in (Fault(call="rename", nth=2, last=True), Fault(call="write", nth=2)):
        restore_under(shim, folder, original, backup, fault)


def test_a_few_faults_while_a_daemon_starts_lose_nothing(shim: Shim, folder: Path, tmp_path: Path) -> None:
    anyio.run(leave_work, tmp_path / "left.db")
    syncs = shim.calls(reset_daemon(folder, tmp_path / "left.db"), "sync")
    # A call while the store is opened, and the last one, while it is closed.
    start_under(shim, folder, tmp_path / "left.db", Fault(call="sync", nth=4))
    assert start_under(shim, folder, tmp_path / "left.db", Fault(call="sync", nth=syncs))


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_each_call_that_fails_while_a_backup_is_restored_loses_nothing(
    shim: Shim, folder: Path, tmp_path: Path, backup: Path, call: str
) -> None:
    original = made(folder, "restore")
    tried = [*faults(shim, lambda: reset_restore(folder, original, backup)[0], most=6, calls=[call])]
    for fault in tried:
        restore_under(shim, folder, original, backup, fault)
    print(f"\n{len(tried)} faults of {call} in a restore: no content is lost")
    assert bool(tried) is (call != "truncate"), "it cuts no file short"


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_each_call_that_fails_while_a_daemon_starts_loses_nothing(
    shim: Shim, folder: Path, tmp_path: Path, call: str
) -> None:
    anyio.run(leave_work, tmp_path / "left.db")
    tried = [*faults(shim, lambda: reset_daemon(folder, tmp_path / "left.db"), most=6, calls=[call])]
    served = sum(start_under(shim, folder, tmp_path / "left.db", fault) for fault in tried)
    print(f"\n{len(tried)} faults of {call} while a daemon starts: {served} have served, the others say why not")
