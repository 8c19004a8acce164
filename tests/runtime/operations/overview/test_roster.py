"""The roster has each host once, with its known figures and no more."""

from typing import Any

from perdure.actors.cluster.leases.seen import ClusterSeen, HostSeen, Standing
from perdure.actors.store.cluster import HostCard, HostState
from perdure.runtime.operations.overview.roster import roster

CARD = HostCard("alpha", "10.0.0.7:50123", "boot:1/2/3", "1.0", 1, 1)


def seen_host(name: str, number: int, **more: Any) -> HostSeen:
    values: dict[str, Any] = {
        "host": number,
        "name": name,
        "card": CARD,
        "state": HostState.SERVING,
        "shards": 512,
        "beat": 7,
        "silent_s": 0.1,
        "is_me": False,
        **more,
    }
    return HostSeen(**values)


def seen(*hosts: HostSeen, me: str = "host-a", standing: Standing = Standing.SERVING) -> ClusterSeen:
    return ClusterSeen(me, standing, hosts, 1024, 0, 2, 1)


def test_hosts_that_are_fixed_are_those_that_were_asked() -> None:
    lines = roster({"host-0": None, "host-1": None}, None)
    assert [(line.name, line.seen, line.state) for line in lines] == [("host-0", None, None), ("host-1", None, None)]


def test_hosts_that_share_a_store_are_those_that_live_whether_they_answer_or_not() -> None:
    mine, other = seen_host("host-a", 1, is_me=True), seen_host("host-b", 2, state=HostState.LEAVING)
    # The report of a host that was killed meanwhile is left out.
    lines = roster({"host-a": None, "host-z": None}, seen(other, mine))
    assert [(line.name, line.seen, line.state) for line in lines] == [
        ("host-a", mine, "serving"),
        ("host-b", other, "leaving"),
    ]


def test_the_host_that_answers_knows_more_of_itself_than_its_row_says() -> None:
    mine = seen_host("host-a", 1, is_me=True)
    [line] = roster({"host-a": None}, seen(mine, standing=Standing.UNCERTAIN))
    assert line.state == "uncertain"
    # The host's row may be gone.
    [line] = roster({"host-a": None}, seen(standing=Standing.DEAD))
    assert (line.seen, line.state) == (None, "dead")
