"""A real scrape: a daemon with a port for metrics, and the metrics and labels at that port."""

import socket
from collections.abc import Mapping, Set
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import httpx
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from perdure.actors.cluster.leases.seen import ClusterSeen, HostSeen, Standing
from perdure.actors.store.cluster import HostCard, HostState
from perdure.actors.store.presence.figures import CommitDoubts, ServerFigures, StandbyLag
from perdure.telemetry.cluster_metrics import ClusterMetrics


class Scraped(NamedTuple):
    """The metrics of a scrape."""

    families: Set[str]  # names in the form of the page of metrics
    samples: Mapping[str, Set[str]]  # by the name of a sample, its labels


def parsed(text: str) -> Scraped:
    families: set[str] = set()
    samples: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        families.add(f"{family.name}_total" if family.type == "counter" else family.name)
        for sample in family.samples:
            samples.setdefault(sample.name, set()).update(sample.labels)
    return Scraped(families, samples)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port: int = free.getsockname()[1]
    return port


def scrape(port: int, token: str | None = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token is not None else {}
    return httpx.get(f"http://127.0.0.1:{port}/metrics", headers=headers)


class _Store:
    doubts = CommitDoubts(in_doubt=0, uncertain=0, acknowledged_lost=0)

    async def figures(self) -> ServerFigures | None:
        return ServerFigures(0.25, 2, [StandbyLag("n2", 1.5, 4096)])


async def of_hosts() -> Scraped:
    """The metrics of a host on a database about itself and the others, without the database."""
    card = HostCard("alpha", "10.0.0.7:50123", "boot:1/2/3", "1.0", 1, 1)
    hosts = [HostSeen(0, "host-0", card, HostState.SERVING, 5, 7, 0.1, True)]
    seen = ClusterSeen("host-0", Standing.SERVING, hosts, 1024, 6, 4, 2, taken=1, given=1, beat_age_s=0.1)
    registry = CollectorRegistry()
    metrics = ClusterMetrics(app_id="a", registry=registry, owned=lambda: 1, seen=lambda: seen, store=_Store())
    await metrics._ask(_Store().figures)
    return parsed(generate_latest(registry).decode())


APP = """
import time
from pathlib import Path

import perdure

app = perdure.App("shop")

@app.activity
def pay(ctx: perdure.ActivityContext, amount: int) -> int:
    return amount

@app.activity
def blocks(ctx: perdure.ActivityContext, door: str) -> None:
    while not Path(door).exists():
        time.sleep(0.02)

@app.workflow
async def order(ctx: perdure.WorkflowContext, amount: int) -> int:
    return await ctx.call_activity(pay, input=amount)

@app.workflow
async def waits(ctx: perdure.WorkflowContext, door: str) -> None:
    await ctx.call_activity(blocks, input=door)
"""


def write_app(folder: Path) -> Path:
    path = folder / "shop.py"
    path.write_text(APP)
    return path
