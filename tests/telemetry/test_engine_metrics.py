"""Metrics of the state are those of a real engine at the moment of the scrape; unknown values have no sample."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest
import yaml

from ..support.paths import ROOT
from ..support.processes.daemon import Daemon
from ..support.processes.scrape import Scraped, free_port, of_hosts, parsed, scrape, write_app


class Shop:
    """A daemon whose only place for activities in threads is taken, and one activity waits behind it."""

    def __init__(self, daemon: Daemon, port: int, door: Path) -> None:
        self.daemon, self.port, self.door = daemon, port, door

    @property
    def text(self) -> str:
        return scrape(self.port).raise_for_status().text

    def value(self, sample: str) -> float:
        found = re.search(rf"^{re.escape(sample)} (.+)$", self.text, re.MULTILINE)
        assert found is not None, (sample, self.text)
        return float(found[1])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    port, door = free_port(), folder / "door"
    options = ("--metrics-port", str(port), "--activity-threads-max", "1")
    with Daemon(write_app(folder), folder / "store.db", *options) as daemon:
        daemon.start("order", "o1", 3)
        daemon.wait_for("o1", "COMPLETED")
        for n in (1, 2):
            daemon.start("waits", f"w{n}", str(door))
        shop = Shop(daemon, port, door)
        until = time.monotonic() + 20
        while 'perdure_activities_waiting{activity_name="blocks",app_id="shop"} 1.0' not in shop.text:
            assert time.monotonic() < until, shop.text
            time.sleep(0.05)
        yield shop
        door.touch()


def test_instances_are_counted_by_status_and_workflow(shop: Shop) -> None:
    assert shop.value('perdure_instances{app_id="shop",status="COMPLETED",workflow_name="order"}') == 1
    assert shop.value('perdure_instances{app_id="shop",status="RUNNING",workflow_name="waits"}') == 2


def test_activities_that_run_and_wait_are_counted_with_the_age_of_the_oldest(shop: Shop) -> None:
    labels = '{activity_name="blocks",app_id="shop"}'
    assert shop.value(f"perdure_activities_running{labels}") == 1
    assert shop.value(f"perdure_activities_waiting{labels}") == 1
    first = shop.value(f"perdure_activity_oldest_waiting_seconds{labels}")
    time.sleep(0.05)
    assert shop.value(f"perdure_activity_oldest_waiting_seconds{labels}") > first > 0


def test_commits_have_histograms_and_no_series_of_creation(shop: Shop) -> None:
    flushes, commits = (shop.value(f'perdure_{name}_seconds_count{{app_id="shop"}}') for name in ("flush", "commit"))
    assert flushes == commits > 0
    commit_s, flush_s = (shop.value(f'perdure_{name}_seconds_sum{{app_id="shop"}}') for name in ("commit", "flush"))
    assert commit_s >= flush_s > 0
    assert "_created" not in shop.text


def test_the_store_the_process_and_the_loop_are_there(shop: Shop) -> None:
    assert shop.value('perdure_store_bytes{app_id="shop"}') > 0
    assert shop.value('perdure_ready{app_id="shop"}') == 1
    assert shop.value('perdure_reminders_overdue{app_id="shop"}') == 0
    assert shop.value('perdure_event_loop_delay_seconds{app_id="shop"}') >= 0
    assert shop.value("process_cpu_seconds_total") > 0


def test_all_of_it_is_what_the_page_of_metrics_lists(shop: Shop) -> None:
    listed = set(re.findall(r"`((?:perdure|dapr|process)_\w+)`", page("docs/operations/metrics.md")))
    shown = parsed(shop.text).families | hosts().families
    assert {name for name in listed if name not in shown} == set()
    assert {name for name in shown if name not in listed} == set()


def page(path: str) -> str:
    return (ROOT / path).read_text()


def hosts() -> Scraped:
    return anyio.run(of_hosts)


# Words of PromQL that look like names of metrics or of labels.
FUNCTIONS = {
    "abs", "by", "histogram_quantile", "increase", "label_values", "max", "min", "or", "rate", "sum", "vector",
}  # fmt: skip
OURS = re.compile(r"\b(?:perdure|dapr|process)_\w+|\bup\b")
OF_PROMETHEUS = {"job", "instance", "le"}  # labels that it adds, and that of histograms


def expressions() -> list[str]:
    groups = yaml.safe_load(page("docs/operations/alerts.yaml"))["groups"]
    rules = [rule["expr"] for group in groups for rule in group["rules"]]
    board = json.loads(page("docs/operations/grafana.json"))
    return rules + [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]


def test_each_expression_of_the_rules_and_the_board_names_metrics_and_labels_of_a_scrape(shop: Shop) -> None:
    samples = {**hosts().samples, **parsed(shop.text).samples, "up": set()}
    # A daemon without remote workers gives them nothing: the metric is there, and has no sample yet.
    samples["dapr_runtime_workflow_activity_operation_count"] = {"app_id", "activity_name", "status"}
    assert len(expressions()) > 40
    for expression in expressions():
        named = set(OURS.findall(expression))
        assert named, expression
        assert named <= samples.keys(), (expression, named - samples.keys())
        labels = set(re.findall(r"(\w+)\s*(?:=~|!=|=)\s*\"", expression))
        labels |= {word for group in re.findall(r"\bby \(([^)]*)\)", expression) for word in re.split(r"[ ,]+", group)}
        known = set().union(*(samples[name] for name in named)) | OF_PROMETHEUS
        assert labels <= known, (expression, labels - known)
        words = set(re.findall(r"\b[a-z_]+(?= ?\()", expression))
        assert words <= FUNCTIONS, (expression, words - FUNCTIONS)


def test_each_app_of_a_daemon_has_its_own_samples(tmp_path: Path) -> None:
    # Given a daemon of two apps, the second of which has an instance that waits and one whose activity runs,
    port, door = free_port(), tmp_path / "door"
    first = tmp_path / "first.py"
    first.write_text("import perdure\n\napp = perdure.App('first')\n")
    with Daemon(first, tmp_path / "store.db", str(write_app(tmp_path)), "--metrics-port", str(port)) as daemon:
        where = f"{daemon.url}/api/v1/workflows/waits/instances"
        httpx.post(where, params={"app_id": "shop"}, json=str(door)).raise_for_status()
        # when it is scraped, then these are the second app's, and the figures of the host are reported once.
        wanted = 'perdure_activities_running{activity_name="blocks",app_id="shop"} 1.0'
        until = time.monotonic() + 20
        while wanted not in (text := scrape(port).text):
            assert time.monotonic() < until, text
            time.sleep(0.05)
        assert 'perdure_instances{app_id="shop",status="RUNNING",workflow_name="waits"} 1.0' in text
        assert 'perdure_reminders_overdue{app_id="shop"} 0.0' in text
        assert 'perdure_reminders_overdue{app_id="first"} 0.0' in text
        assert 'perdure_ready{app_id="first"} 1.0' in text
        assert 'perdure_ready{app_id="shop"}' not in text
        door.touch()
