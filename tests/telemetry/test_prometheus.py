"""A real Prometheus reads the rules, fires each as its sentence says, and finds data for each panel of the board.

Debian's package `prometheus` has it; without it these tests are skipped.
"""

import json
import math
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from ..support.paths import ROOT
from ..support.postgres import PostgresServer, PostgresServers, installed
from ..support.processes.daemon import Daemon
from ..support.processes.scrape import free_port, write_app

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
ALERTS = ROOT / "docs/operations/alerts.yaml"
STORIES = Path(__file__).with_name("alerts.yaml")
PATIENCE_S = 40.0
TOKEN = {"PERDURE_API_TOKEN": "secret"}
WINDOW = "20s"  # instead of Grafana's variable, which follows the time of the board

pytestmark = pytest.mark.skipif(PROMETHEUS is None or PROMTOOL is None, reason="Debian's package prometheus has it")


def promtool(*arguments: Any) -> None:
    done = subprocess.run([str(PROMTOOL), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_reads_the_rules() -> None:
    promtool("check", "rules", ALERTS)


def test_each_rule_fires_when_its_sentence_is_true_and_not_before() -> None:
    promtool("test", "rules", STORIES)


def test_there_is_a_story_of_each_rule_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    rules = {rule["alert"] for group in groups for rule in group["rules"]}
    told = [each for story in yaml.safe_load(STORIES.read_text())["tests"] for each in story["alert_rule_test"]]
    assert {each["alertname"] for each in told if each["exp_alerts"]} == rules
    assert {each["alertname"] for each in told if not each["exp_alerts"]} == rules


class Prometheus:
    """A server that scrapes each second."""

    def __init__(self, folder: Path, targets: list[int]) -> None:
        folder.mkdir()
        job = {
            "job_name": "perdure",
            "authorization": {"credentials": TOKEN["PERDURE_API_TOKEN"]},
            "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in targets]}],
        }
        every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config = {"global": every, "scrape_configs": [job], "rule_files": [str(ALERTS)]}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        port = free_port()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1/")
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    str(PROMETHEUS),
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stderr=log,
                cwd=folder,
            )

    def ask(self, path: str, **query: str) -> Any:
        answer = self.http.get(path, params=query).raise_for_status().json()
        return answer["data"]

    def values(self, expression: str) -> list[float]:
        """The values of an expression now."""
        return [float(each["value"][1]) for each in self.ask("query", query=expression)["result"]]

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                if condition():
                    return
            except httpx.HTTPError:
                pass  # it starts
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def close(self) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(timeout=PATIENCE_S)


@contextmanager
def orders(daemon: Daemon) -> Iterator[None]:
    """Let instances begin and end until the block ends."""
    over = threading.Event()

    def go_on() -> None:
        number = 0
        with httpx.Client(base_url=daemon.url, headers={"dapr-api-token": "secret"}) as http:
            while not over.wait(0.1):
                number += 1
                http.post("/v1.0/workflows/dapr/order/start", params={"instanceID": f"o{number}"}, content=b"3")
                http.get(f"/v1.0/workflows/dapr/o{number}")

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def standby_of(server: PostgresServer, servers: PostgresServers) -> Iterator[None]:
    """Let a copy of a server follow it."""
    copy = servers.new()
    try:
        shutil.rmtree(copy.data)
        source = ("-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres")
        copy.run("pg_basebackup", "-D", str(copy.data), *source, "-R", "-c", "fast", "--no-sync")
        copy.start()
        yield
    finally:
        copy.close()


def panels() -> list[str]:
    """The expressions of the board, with values for its variables."""
    board = json.loads((ROOT / "docs/operations/grafana.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    return [each.replace("$app_id", "shop").replace("$__rate_interval", WINDOW) for each in asked]


@pytest.mark.slow
@pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")
def test_each_panel_of_the_board_has_data_of_real_hosts_and_a_dead_one_raises_an_alarm(
    tmp_path: Path, own_server: PostgresServer, postgres_servers: PostgresServers
) -> None:
    # Given two hosts on a database with a standby, and a daemon with a file, of which one activity waits for another,
    app, door, data, ports = write_app(tmp_path), tmp_path / "door", own_server.url(), [free_port() for _ in range(3)]
    with ExitStack() as stack:
        stack.enter_context(standby_of(own_server, postgres_servers))
        options = [("--data", data), ("--data", data), ("--activity-threads-max", "1")]
        daemons = [
            stack.enter_context(Daemon(app, tmp_path / f"{port}.db", *more, "--metrics-port", str(port), env=TOKEN))
            for port, more in zip(ports, options, strict=True)
        ]
        stack.callback(door.touch)
        for n in (1, 2):
            where = f"{daemons[2].url}/api/v1/workflows/waits/instances?id=w{n}"
            httpx.post(where, json=str(door), headers={"dapr-api-token": "secret"}).raise_for_status()
        prometheus = Prometheus(tmp_path / "prometheus", ports)
        stack.callback(prometheus.close)
        # when Prometheus scrapes them while instances begin and end,
        with orders(daemons[0]), orders(daemons[2]):
            prometheus.until(lambda: prometheus.values('sum(up{job="perdure"})') == [3])
            # then each expression of the board has numbers.
            empty = set(panels())

            def find() -> bool:
                found = {each for each in empty if any(map(math.isfinite, prometheus.values(each)))}
                empty.difference_update(found)
                return not empty

            try:
                prometheus.until(find)
            finally:
                assert empty == set()
        assert prometheus.ask("label/app_id/values") == ["shop"]
        # Prometheus can evaluate each rule, and none of them fires,
        rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        assert len(rules) > 15
        assert [rule["name"] for rule in rules if rule["health"] != "ok" or rule.get("lastError")] == []
        assert [each["labels"] for each in prometheus.ask("alerts")["alerts"] if each["state"] == "firing"] == []
        # until a host is killed.
        daemons[1].kill()
        down = f'ALERTS{{alertname="PerdureHostDown",instance="127.0.0.1:{ports[1]}"}}'
        prometheus.until(lambda: prometheus.values(down) == [1])
