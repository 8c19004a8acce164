"""Figures: percentiles are measured values, and a figure that was not measured is missing."""

import subprocess
import sys

import psutil
import pytest

from perdure.benchmarks.drivers import measure


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([7], 50, 7),
        ([7], 99, 7),
        ([1, 2, 3, 4], 50, 2),
        ([1, 2, 3, 4], 51, 3),
        ([1, 2, 3, 4], 100, 4),
        (list(range(1, 101)), 95, 95),
        (list(range(1, 101)), 99, 99),
        (list(range(1, 102)), 99, 100),
    ],
)
def test_a_percentile_is_the_nearest_rank(values: list[float], percent: float, expected: float) -> None:
    assert measure.percentile(values, percent) == expected


def test_a_distribution_is_in_milliseconds_whatever_the_order_and_of_no_values_nothing() -> None:
    assert measure.distribution([3_000, 1_000, 2_000], prefix="late_") == {
        "late_p50_ms": 2.0,
        "late_p95_ms": 3.0,
        "late_p99_ms": 3.0,
        "late_max_ms": 3.0,
    }
    assert measure.distribution([]) == {}


def test_a_process_uses_time_and_memory() -> None:
    before = measure.usage_of_self()
    sum(range(1_000_000))
    after = measure.usage_of_self()
    assert after.cpu_s > before.cpu_s
    assert after.rss_bytes > 2**20


def test_what_a_child_used_that_has_ended_is_counted_too() -> None:
    # Given a process whose child used a tenth of a second and is gone,
    burn = "import time\nwhile time.process_time() < 0.1: pass"
    program = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        # then it is in the usage of the tree, and not in that of the process alone.
        tree, alone = measure.usage_of_trees([process.pid]), psutil.Process(process.pid).cpu_times()
        process.kill()
    assert tree.cpu_s - alone.user - alone.system >= 0.09  # ticks of 10 ms
    assert tree.rss_bytes > 0


def test_loads_that_ran_together_are_summed_up_over_their_common_time() -> None:
    # Given two loads, of which the second begins and ends later,
    first = measure.LoadTally(
        spans=[measure.Span(0, 400_000), measure.Span(300_000, 500_000)],
        engine=measure.Usage(cpu_s=0.25, rss_bytes=2**20),
        counts=measure.Counts(commits=4, turns=30, rows=20),
    )
    second = measure.LoadTally(
        spans=[measure.Span(100_000, 1_000_000)],
        engine=measure.Usage(cpu_s=0.05, rss_bytes=2**21),
        counts=measure.Counts(commits=1, turns=30, rows=40),
    )
    # when they are summed up,
    outcome = measure.outcome_of([first, second], units=5)
    # then their time is from the first beginning to the last end,
    figures = outcome.figures
    assert (figures["elapsed_s"], figures["instances"], figures["units_per_s"]) == (1.0, 3, 15)
    # latencies are in the order of the beginnings, over both loads,
    assert outcome.latencies_us == [400_000, 900_000, 200_000]
    # and all other figures are sums of both.
    assert figures["cpu_ms_per_unit"] == pytest.approx(0.3 * 1000 / 15)
    assert figures["rss_mib"] == 3
    assert (figures["commits_per_s"], figures["units_per_commit"]) == (5, 3)
    assert (figures["turns_per_unit"], figures["rows_per_turn"]) == (4, 1)
    assert "load_cpu_ms_per_unit" not in figures


def test_a_load_without_instances_adds_only_what_its_engine_did() -> None:
    one = measure.LoadTally(
        spans=[measure.Span(0, 500_000)], engine=measure.Usage(cpu_s=0.1, rss_bytes=0), load_cpu_s=0.2, server_cpu_s=0.4
    )
    none = measure.LoadTally(spans=[], engine=measure.Usage(cpu_s=0.3, rss_bytes=0), load_cpu_s=0.1)
    figures = measure.outcome_of([one, none], units=1).figures
    assert (figures["elapsed_s"], figures["instances"]) == (0.5, 1)
    assert figures["cpu_ms_per_unit"] == pytest.approx(400)
    assert figures["load_cpu_ms_per_unit"] == pytest.approx(300)
    assert figures["server_cpu_ms_per_unit"] == pytest.approx(400)
    assert "commits_per_s" not in figures
