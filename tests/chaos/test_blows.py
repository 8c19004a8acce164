"""The chaos of `tests/whole/chaos` for longer: kills, pauses, a database that crashes, cut commits, restarts."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ..support.postgres import PostgresServer
from ..whole.chaos.checker import Verdict
from ..whole.chaos.decoding import begin_decoding
from ..whole.chaos.storm import Bed, Storm
from ..whole.chaos.test_chaos import crashes, cuts, kills, pauses, rolling_restart
from .story import HOSTS, again_and_again, judged, require_quick_takeovers, run


def nothing_was_refused(verdict: Verdict) -> None:
    assert verdict.refused == 0, verdict.refusals
    assert verdict.killed_by_hosts == 0


STORMS: dict[str, tuple[Storm, bool, Callable[[Verdict], None]]] = {
    "kills": (partial(kills, times=3), False, require_quick_takeovers),
    "pauses": (partial(pauses, for_s=(0.5, 1.0, 2.0, 4.0, 10.0)), False, lambda verdict: None),
    "crashes of the database": (partial(crashes, for_s=(0.5, 1.0, 2.0, 5.0)), False, nothing_was_refused),
    "cut commits": (partial(cuts, rounds=1, breath_s=1.0), True, nothing_was_refused),
    "rolling restarts": (rolling_restart, False, nothing_was_refused),
}


@pytest.mark.parametrize("name", STORMS)
def test_nothing_is_lost_or_doubled_however_long_it_blows(server: PostgresServer, tmp_path: Path, name: str) -> None:
    storm, proxied, holds = STORMS[name]
    begin_decoding(server)
    bed = Bed(server=server, hosts=HOSTS, proxied=proxied, log=server)
    verdict = run(lambda: judged(bed, tmp_path, again_and_again(storm)))
    holds(verdict)
