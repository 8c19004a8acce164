"""Metrics of hosts: each host reports its own view, and unknown values have no sample."""

import anyio
import httpx
import pytest
from prometheus_client import CollectorRegistry, make_asgi_app
from prometheus_client.parser import text_string_to_metric_families

from perdure.actors.cluster.leases.seen import ClusterSeen, HostSeen, Standing
from perdure.actors.store.cluster import HostCard, HostState
from perdure.actors.store.presence.figures import CommitDoubts, ServerFigures, StandbyLag
from perdure.telemetry.cluster_metrics import ClusterMetrics

CARD = HostCard("alpha", "10.0.0.7:50123", "boot:1/2/3", "1.0", 1, 1)
FIGURES = ServerFigures(0.25, 2, [StandbyLag("n2", 1.5, 4096)])


class Server:
    """A store whose server may be away."""

    def __init__(self, figures: ServerFigures | None) -> None:
        self.doubts = CommitDoubts(in_doubt=3, uncertain=2, acknowledged_lost=1)
        self.answer = figures
        self.asked = 0

    async def figures(self) -> ServerFigures | None:
        self.asked += 1
        return self.answer


def seen(standing: Standing = Standing.SERVING) -> ClusterSeen:
    states = (HostState.SERVING, HostState.SERVING, HostState.LEAVING)
    hosts = [HostSeen(i, f"host-{i}", CARD, state, 5, 7, 0.1, i == 0) for i, state in enumerate(states)]
    return ClusterSeen("host-0", standing, hosts, 1024, 6, 4, 2, taken=341, given=17, beat_age_s=0.375)


def scraped(found: ClusterSeen | None, server: Server | None, *, times: int = 1) -> dict[tuple[str, str], float]:
    """The samples of the last of a number of scrapes, by name and by the label beside the app."""
    registry = CollectorRegistry()
    metrics = ClusterMetrics(app_id="orders", registry=registry, owned=lambda: 512, seen=lambda: found, store=server)

    async def get() -> str:
        transport = httpx.ASGITransport(metrics.asked_first(make_asgi_app(registry)))
        async with httpx.AsyncClient(transport=transport, base_url="http://perdure") as client:
            answers = [await client.get("/metrics") for _ in range(times)]
            return answers[-1].text

    samples = {}
    for family in text_string_to_metric_families(anyio.run(get)):
        assert family.documentation.endswith(".")
        for sample in family.samples:
            assert sample.labels.pop("app_id") == "orders"
            samples[sample.name, "".join(sample.labels.values())] = sample.value
    return samples


def test_a_host_tells_of_itself_of_the_others_of_doubts_and_of_the_server() -> None:
    assert scraped(seen(), Server(FIGURES)) == {
        ("perdure_shards_owned", ""): 512,
        ("perdure_hosts", "serving"): 2,
        ("perdure_hosts", "leaving"): 1,
        ("perdure_shards_free", ""): 6,
        ("perdure_host_serving", ""): 1,
        ("perdure_host_beat_age_seconds", ""): 0.375,
        ("perdure_host_lives_total", ""): 2,
        ("perdure_hosts_killed_total", ""): 4,
        ("perdure_shards_taken_total", ""): 341,
        ("perdure_shards_given_total", ""): 17,
        ("perdure_commits_in_doubt_total", ""): 3,
        ("perdure_commits_uncertain_total", ""): 2,
        ("perdure_acknowledged_lost_total", ""): 1,
        ("perdure_clock_offset_seconds", ""): 0.25,
        ("perdure_replication_followers", ""): 2,
        ("perdure_replication_lag_seconds", "n2"): 1.5,
        ("perdure_replication_lag_bytes", "n2"): 4096,
    }


def test_hosts_that_are_fixed_tell_of_their_shards_alone() -> None:
    assert scraped(None, None) == {("perdure_shards_owned", ""): 512}


def test_of_a_server_that_does_not_answer_nothing_is_told_and_the_rest_is() -> None:
    away = Server(None)
    found = scraped(seen(), away)
    assert not [name for name, _ in found if "clock" in name or "replication" in name]
    assert found["perdure_commits_in_doubt_total", ""] == 3


def test_each_scrape_asks_the_server_once_and_forgets_what_it_was_told_before() -> None:
    server = Server(FIGURES)

    class Failing(Server):
        async def figures(self) -> ServerFigures | None:
            await super().figures()
            return FIGURES if self.asked == 1 else None

    scraped(seen(), server, times=3)
    assert server.asked == 3
    assert ("perdure_clock_offset_seconds", "") not in scraped(seen(), Failing(None), times=2)


@pytest.mark.parametrize(
    ("standing", "serves"),
    [
        (Standing.SERVING, 1),
        (Standing.LEAVING, 1),
        (Standing.JOINING, 0),
        (Standing.UNCERTAIN, 0),
        (Standing.DEAD, 0),
    ],
)
def test_a_host_serves_that_may_take_turns(standing: Standing, serves: int) -> None:
    assert scraped(seen(standing), None)["perdure_host_serving", ""] == serves
