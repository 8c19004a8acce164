"""State stores of a real daemon: acknowledged saves outlive kills, and each process answers for all keys."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..support.postgres import PostgresServer, installed
from ..support.processes.daemon import Daemon

CALLERS = 5
KILLS = 2
ACKNOWLEDGED_MIN = 10  # how many saves of each caller are acknowledged before a kill


class Caller(threading.Thread):
    """Saves pairs of keys, each pair in one transaction, and counts the acknowledged ones.

    The two keys of a pair always have the same number: a half transaction would show.
    """

    def __init__(self, url: str, name: str, begin: int) -> None:
        super().__init__(daemon=True)
        self.url, self.tag, self.number = url, name, begin
        self.acknowledged = begin
        self.far = threading.Event()
        self.enough = threading.Event()

    def run(self) -> None:
        begin = self.number
        with httpx.Client(base_url=self.url, timeout=10) as client:
            try:
                while not self.enough.is_set():
                    self.number += 1
                    operations = [
                        {"operation": "upsert", "request": {"key": f"{self.tag}-{part}", "value": self.number}}
                        for part in ("left", "right")
                    ]
                    client.post(
                        "/v1.0/state/statestore/transaction", content=json.dumps({"operations": operations})
                    ).raise_for_status()
                    self.acknowledged = self.number
                    single = [{"key": f"{self.tag}-single", "value": self.number}]
                    client.post("/v1.0/state/statestore", content=json.dumps(single)).raise_for_status()
                    if self.number - begin >= ACKNOWLEDGED_MIN:
                        self.far.set()
            except httpx.HTTPError:
                pass  # killed


def values(client: httpx.Client, keys: list[str]) -> dict[str, Any]:
    found = client.post("/v1.0/state/statestore/bulk", content=json.dumps({"keys": keys})).json()
    return {item["key"]: item.get("data", 0) for item in found}


def kept(daemon: Daemon, callers: Sequence[Caller]) -> dict[str, int]:
    """Check that a daemon has all acknowledged saves, and both halves of each pair; return each caller's number."""
    numbers: dict[str, int] = {}
    with httpx.Client(base_url=daemon.url, timeout=30) as client:
        for caller in callers:
            numbers[caller.tag] = kept_of(client, caller)
    return numbers


def kept_of(client: httpx.Client, caller: Caller) -> int:
    """Check that a daemon has a caller's acknowledged saves, and both halves of each pair; return its number."""
    left, right, single = (f"{caller.tag}-{each}" for each in ("left", "right", "single"))
    found = values(client, [left, right, single])
    number: int = found[left]
    assert found[right] == number
    assert caller.acknowledged <= number <= caller.number
    assert caller.acknowledged - 1 <= found[single] <= caller.number
    return number


def test_a_kill_under_load_loses_no_acknowledged_save_and_shows_no_half_transaction(tmp_path: Path) -> None:
    begins = dict.fromkeys((f"c{number}" for number in range(CALLERS)), 0)
    callers: list[Caller] = []
    for _ in range(KILLS):
        with Daemon(None, tmp_path / "p.db") as daemon:
            begins |= kept(daemon, callers)
            callers = [Caller(daemon.url, name, begin) for name, begin in begins.items()]
            for caller in callers:
                caller.start()
            # When each caller has had some answers, and each has a save under way,
            assert all(caller.far.wait(60) for caller in callers)
            daemon.kill()
            for caller in callers:
                caller.join(20)
    # then the next daemon has all acknowledged saves.
    with Daemon(None, tmp_path / "p.db") as daemon:
        assert kept(daemon, callers)
        assert daemon.stop() == 0


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(None, tmp_path / "p.db", "--processes", "2") as daemon:
        yield daemon
        assert daemon.stop() == 0


def test_each_process_of_a_daemon_answers_for_all_keys(processes: Daemon) -> None:
    # Given separate connections, which the system spreads over both processes,
    for number in range(12):
        with httpx.Client(base_url=processes.url, timeout=30) as client:
            saved = client.post("/v1.0/state/statestore", content=json.dumps([{"key": f"k{number}", "value": number}]))
            assert saved.status_code == 204, saved.text
    etags = set()
    for number in range(12):
        with httpx.Client(base_url=processes.url, timeout=30) as client:
            # then the process that is asked has the value, and accepts its etag,
            got = client.get(f"/v1.0/state/statestore/k{number}")
            assert got.json() == number
            etags.add(got.headers["etag"])
            wrong = client.delete(f"/v1.0/state/statestore/k{number}", headers={"if-match": "9999"})
            assert (wrong.status_code, wrong.json()["errorCode"]) == (409, "ERR_STATE_DELETE")
            right = client.delete(f"/v1.0/state/statestore/k{number}", headers={"if-match": got.headers["etag"]})
            assert right.status_code == 204
    assert len(etags) == 12


@pytest.mark.slow
@pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")
def test_a_host_that_is_killed_under_load_leaves_all_acknowledged_saves_to_the_other(
    tmp_path: Path, own_server: PostgresServer
) -> None:
    url = own_server.url()
    with ExitStack() as running:

        def daemon(name: str) -> Daemon:
            return running.enter_context(Daemon(None, tmp_path / f"{name}.db", "--data", url))

        # Given two hosts, which share the shards, and callers of both,
        one, two = daemon("one"), daemon("two")
        with httpx.Client(base_url=one.url, timeout=30) as client:
            while len(client.get("/api/v1/hosts").json()["items"]) < 2:
                time.sleep(0.1)
        callers = [
            Caller(host.url, f"{name}{number}", 0) for number in range(4) for name, host in (("a", one), ("b", two))
        ]
        for caller in callers:
            caller.start()
        assert all(caller.far.wait(60) for caller in callers)
        # when the first is killed,
        one.kill()
        for caller in callers[::2]:
            caller.join(20)
        for caller in callers[1::2]:
            caller.enough.set()
            caller.join(60)
        # then the other one has all saves that either has acknowledged, and both halves of each pair.
        with httpx.Client(base_url=two.url, timeout=30) as client:
            for caller in callers:
                kept_of(client, caller)
        assert two.stop() == 0
