"""Long histories: the cost of a turn, and of a rebuild."""

from pathlib import Path

import pytest

from perdure.benchmarks.drivers.in_process import EngineSetup, process_driver
from perdure.benchmarks.studies import history_growth
from perdure.benchmarks.workloads.table import BY_NAME

from ...support.benchmarks.results import performed

pytestmark = pytest.mark.anyio


async def test_a_run_has_figures_for_the_lengths_it_has_time_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_growth, "LONG_LENGTHS", (200, 1_000_000))
    monkeypatch.setattr(history_growth, "SHORT_CHAINS", 1)
    figures = (await performed(tmp_path, "S6", seconds=200 / history_growth.EVENTS_PER_S)).figures
    assert figures["events"] == 200
    assert figures["cold_200_events_per_s"] < figures["replay_200_events_per_s"]
    assert {"at_10_p50_ms", "at_100_p50_ms", "at_200_p50_ms"} <= figures.keys()
    # The growth is that up to the longest history, which the run had no time for.
    assert "turn_growth_times" not in figures
    assert not [name for name in figures if "1000000" in name]


async def test_a_chain_is_rebuilt_whole_and_ends_as_it_should(tmp_path: Path) -> None:
    setup = EngineSetup(folder=tmp_path)
    async with process_driver(setup) as driver:
        waiting = await history_growth.chain(driver, BY_NAME["S6"], 5)
    # Started, and each step scheduled and completed.
    assert (await history_growth.rebuilt(setup, waiting)).events == 1 + 5 * 2
    async with process_driver(setup) as driver:
        ran_us = await history_growth.end(driver, waiting)
    assert len(ran_us) == 5


def test_a_turn_is_counted_at_the_length_that_it_had() -> None:
    # Given a chain whose turns take 1 ms at first, and 3 ms from a history of 20 events on,
    took_us = [1_000] * 9 + [3_000] * 900
    ran_us = [sum(took_us[:steps]) for steps in range(len(took_us) + 1)]
    # then each length has the latency of the turns around it.
    figures = history_growth.turn_figures((10, 1_000), [ran_us])
    assert (figures["at_10_p50_ms"], figures["at_1000_p50_ms"]) == (1, 3)


def test_growth_is_from_the_shortest_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_growth, "LONG_LENGTHS", (1_000,))
    took_us = [2_000] * 100 + [3_000] * 500
    ran_us = [sum(took_us[:steps]) for steps in range(len(took_us) + 1)]
    assert history_growth.turn_figures((10, 1_000), [ran_us])["turn_growth_times"] == 1.5


def test_the_whole_is_slower_than_each_of_its_parts() -> None:
    figures = history_growth.cold_figures(
        1_000, [history_growth.Cold(1_000, 1.0, 2.0, 1.0), history_growth.Cold(1_000, 1.0, 2.0, 1.0)]
    )
    assert figures == {
        "cold_1000_events_per_s": 250,
        "load_1000_events_per_s": 1_000,
        "decode_1000_events_per_s": 500,
        "replay_1000_events_per_s": 1_000,
    }
