"""A million instances in the store: a real daemon lists, counts and purges, is killed in the middle, and goes on."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from perdure.actors.store.sqlite.maintenance import check
from perdure.benchmarks.studies.many_instances import write_instances

from ..support.processes.daemon import Daemon

pytestmark = pytest.mark.slow

INSTANCES = int(os.environ.get("PERDURE_SCALE_INSTANCES", "1000000"))
PURGED_MAX = 100_000
HEALTHZ_S_MAX = 0.25
RSS_GROWN_MIB_MAX = 400  # for the caches of SQLite, pages that are being sent, and a bulk operation
RATE = 5_000  # purges a second: the daemon may be slower, not faster
STEP = 1_000  # instances that a bulk operation purges in one step at this rate


class Prober:
    """Requests /v1.0/healthz without a pause, and reads the size of the daemon's memory.

    The limit is on the daemon's own time: the time of an answer, without the time in which the event loop's thread, or
    the prober's, could run and had no CPU. The kernel counts that. On an idle machine both times are the same.
    """

    def __init__(self) -> None:
        self.url: str | None = None  # None: there is no daemon to ask
        self.pid = 0
        self.slowest_s = 0.0
        self.slowest_own_s = 0.0
        self.asked = 0
        self.rss_max = 0
        self._stop = threading.Event()

    @contextmanager
    def probing(self) -> Iterator["Prober"]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def watch(self, daemon: Daemon) -> None:
        self.pid, self.url = daemon.process.pid, daemon.url

    def look_away(self) -> None:
        self.url = None

    def _run(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._stop.wait(0.02):
                url = self.url
                if url is None:
                    continue
                began = time.perf_counter()
                try:
                    waited_s = self._waited_s()
                    client.get(f"{url}/v1.0/healthz")
                    took_s = time.perf_counter() - began
                    waited_s = self._waited_s() - waited_s
                    rss = psutil.Process(self.pid).memory_info().rss
                except (httpx.HTTPError, psutil.Error, OSError):
                    continue  # the daemon was killed meanwhile
                if self.url == url:
                    self.slowest_s = max(self.slowest_s, took_s)
                    self.slowest_own_s = max(self.slowest_own_s, took_s - waited_s)
                    self.rss_max = max(self.rss_max, rss)
                    self.asked += 1

    def _waited_s(self) -> float:
        """How long both threads have waited for a CPU so far; 0 where the kernel does not count it."""
        if sys.platform != "linux":
            return 0.0
        threads = (f"/proc/{self.pid}/task/{self.pid}", f"/proc/self/task/{threading.get_native_id()}")
        return sum(int(Path(each, "schedstat").read_text().split()[1]) for each in threads) / 1e9


def command(daemon: Daemon, *arguments: str, timeout_s: float = 60) -> str:
    """Run `perdure`, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "perdure", *arguments, "--server", daemon.url],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, (arguments, done.stdout[-500:], done.stderr[-2000:])
    return done.stdout


def counted(daemon: Daemon, *filters: str) -> dict[str, int]:
    answer = json.loads(command(daemon, "count", "--by", "status", "-o", "json", *filters))
    return {row["status"]: row["count"] for row in answer["counts"]}


class Purge:
    """`perdure purge --all-matching` in a terminal, where a line shows its progress."""

    def __init__(self, daemon: Daemon, *filters: str) -> None:
        self.shown = b""
        self.master, terminal = pty.openpty()
        command = [sys.executable, "-m", "perdure", "purge", "--all-matching", "--yes", "--rate", str(RATE), *filters]
        self.process = subprocess.Popen(
            [*command, "--server", daemon.url], stdout=subprocess.PIPE, stderr=terminal, text=True
        )
        os.close(terminal)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the command has ended
            while piece := os.read(self.master, 4096):
                self.shown += piece

    @property
    def done(self) -> int:
        """How many instances are purged, by the newest line."""
        told = re.findall(rb"purge RUNNING: ([\d,]+) done", self.shown)
        return int(told[-1].replace(b",", b"")) if told else 0

    def wait_for(self, done: int) -> None:
        while self.done < done:
            assert self.process.poll() is None, self.shown[-500:]
            time.sleep(0.1)

    def end(self, timeout_s: float) -> str:
        """Wait for the end of the command, and return its last line."""
        said, _ = self.process.communicate(timeout=timeout_s)
        self._thread.join()
        assert self.process.returncode == 0, self.shown[-500:]
        return said.strip()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join()
        os.close(self.master)


def test_a_million_instances_are_listed_counted_and_purged_over_a_kill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "many.db"
    write_instances(data, INSTANCES)
    numbers: dict[str, object] = {"instances": INSTANCES, "store MiB": data.stat().st_size // 2**20}
    with Prober().probing() as prober:
        daemon = Daemon(None, data)
        try:
            numbers["ready after s"] = round(daemon.ready_s, 2)
            prober.watch(daemon)
            rss_before = psutil.Process(daemon.process.pid).memory_info().rss
            # The store is listed and counted,
            before = counted(daemon)
            assert sum(before.values()) == INSTANCES
            for filters in (
                ("--status", "failed"),
                ("--name", "Workflow3", "--status", "!completed"),
                ("--tag", "customer=c7"),
                ("--id-prefix", "order-0"),
                (),
            ):
                began = time.perf_counter()
                listed = command(daemon, "ls", "-o", "ids", "--limit", "50", *filters).split()
                numbers[f"ls {' '.join(filters)} s"] = round(time.perf_counter() - began, 2)
                assert len(listed) == 50 or "customer=c7" in filters
            # and at most a hundred thousand instances are purged: those of as many names as together have no more.
            names = ["Workflow3"]
            matches = counted(daemon, "--status", "completed", *name_filters(names))["COMPLETED"]
            while matches + matches // len(names) <= PURGED_MAX and len(names) < 10:
                names.append(f"Workflow{3 + len(names)}")
                matches = counted(daemon, "--status", "completed", *name_filters(names))["COMPLETED"]
            began = time.perf_counter()
            purge = Purge(daemon, "--status", "completed", *name_filters(names))
            try:
                # In the middle of the purge the daemon is killed,
                purge.wait_for(matches // 3)
                prober.look_away()
                daemon.kill()
                daemon = Daemon(None, data, "--http-port", daemon.url.rpartition(":")[2])
                numbers["ready after the kill s"] = round(daemon.ready_s, 2)
                prober.watch(daemon)
                # and the next daemon carries it on to its end, for which the command waits.
                said = purge.end(600)
            finally:
                purge.close()
            took_s = time.perf_counter() - began
            # The first step after the kill does not find the instances that the last step before it has purged.
            told = re.fullmatch(r"purge COMPLETED: ([\d,]+) done, of ([\d,]+)", said)
            assert told is not None, said
            done, planned = (int(number.replace(",", "")) for number in told.groups())
            assert (planned, matches - STEP <= done <= matches) == (matches, True), said
            numbers[f"purge of {matches} s"] = round(took_s, 1)
            after = counted(daemon)
            assert after == before | {"COMPLETED": before["COMPLETED"] - matches}
            assert counted(daemon, "--status", "completed", *name_filters(names)) == {}
            numbers |= {
                "healthz asked": prober.asked,
                "healthz slowest ms": round(prober.slowest_s * 1e3),
                "healthz slowest without waits for a CPU ms": round(prober.slowest_own_s * 1e3),
                "RSS before MiB": rss_before // 2**20,
                "RSS most MiB": prober.rss_max // 2**20,
            }
            prober.look_away()
            assert daemon.stop() == 0
        finally:
            prober.look_away()
            end(daemon)
    with capsys.disabled():
        print("\n" + "\n".join(f"{name}: {number}" for name, number in numbers.items()))
    assert check(data) == []
    assert prober.slowest_own_s <= HEALTHZ_S_MAX
    assert prober.rss_max - rss_before <= RSS_GROWN_MIB_MAX * 2**20


def end(daemon: Daemon) -> None:
    if daemon.process.poll() is None:
        daemon.process.kill()
        daemon.close()


def name_filters(names: list[str]) -> list[str]:
    return [each for name in names for each in ("--name", name)]
