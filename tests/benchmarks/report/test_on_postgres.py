"""--data is a folder or a database; of a database the report says what share of SQLite's rate it has, and what a step
takes on more hosts."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from perdure.benchmarks.report.beside import with_peers
from perdure.benchmarks.report.on_postgres import folder_or_database, growths_of, lines_of, shares_of
from perdure.benchmarks.workloads.table import BY_NAME
from perdure.benchmarks.workloads.workload import POSTGRES, PROCESS
from perdure.cli.main import main

from ...support.benchmarks.results import in_flight, on_processes, result, results


def test_data_is_a_folder_or_the_address_of_a_database() -> None:
    assert folder_or_database(None) is None
    assert folder_or_database("some/folder") == Path("some/folder")
    assert folder_or_database("postgresql://h/d") == "postgresql://h/d"
    with pytest.raises(click.BadParameter, match="PGPASSWORD"):
        folder_or_database("postgresql://me:secret@h/d")


def test_the_share_is_of_the_same_run() -> None:
    workloads = with_peers([BY_NAME["W1"].with_in_flight(50)], (POSTGRES,))
    rates = {PROCESS: 1000.0, POSTGRES: 700.0}
    found = [in_flight(50, result("W1", driver, units_per_s=rate)) for driver, rate in rates.items()]
    said = shares_of(workloads, results(*found))
    assert said == ["W1 with 50 in flight: on PostgreSQL 0.70 of SQLite (mark: at least 0.6)"]


def test_each_run_is_compared_with_the_one_next_to_it() -> None:
    workloads = with_peers([BY_NAME["W1"].with_in_flight(50)], (POSTGRES,))
    # Given rounds in which the machine was now fast and now slow,
    rounds = [(1000.0, 700.0), (100.0, 90.0), (1000.0, 800.0)]
    found = [
        in_flight(50, result("W1", driver, units_per_s=rate))
        for pair in rounds
        for driver, rate in zip((PROCESS, POSTGRES), pair, strict=True)
    ]
    # then the share is the middle one, and how far they lie apart is said.
    (said,) = shares_of(workloads, results(*found))
    assert "on PostgreSQL 0.80 of SQLite, median of 3 pairs from 0.70 to 0.90" in said
    # A store that was not run has no share.
    assert shares_of(workloads, results(found[0])) == []


def test_several_processes_are_not_measured_on_a_database() -> None:
    said = CliRunner().invoke(main, ["bench", "--data", "postgresql://h/d", "--processes", "2", "--workload", "W1"])
    assert said.exit_code == 2
    assert "on a database there is one process" in said.output


W1 = BY_NAME["W1"].with_in_flight(50)


def test_what_a_step_takes_on_several_hosts_is_compared_with_one_host_round_by_round() -> None:
    # Given three rounds of one host and of four, in which a step takes ever more for whatever reason,
    rounds = [((0.06, 0.02), (0.06, 0.024)), ((0.12, 0.04), (0.15, 0.042)), ((0.3, 0.1), (0.3, 0.14))]
    found = [
        on_processes(hosts, result("W1", POSTGRES, cpu_ms_per_unit=engine, server_cpu_ms_per_unit=server))
        for pair in rounds
        for hosts, (engine, server) in zip((1, 4), pair, strict=True)
    ]
    # then what is said is of the rounds, and of hosts and server together.
    assert growths_of([W1, W1.with_hosts(4)], results(*found)) == [
        "W1 with 50 in flight on each of 4 hosts: a step takes 1.10 of the CPU that it takes on one, hosts and server "
        "together, median of 3 pairs from 1.05 to 1.20 (mark: at most 1.2)"
    ]


def test_of_a_server_that_cannot_be_seen_nothing_is_said_and_the_mark_is_of_four_hosts() -> None:
    found = [on_processes(hosts, result("W1", POSTGRES, cpu_ms_per_unit=0.1 * hosts)) for hosts in (1, 2)]
    workloads = [W1, W1.with_hosts(2), W1.with_hosts(4)]
    said = lines_of(workloads, results(*found))
    assert said.endswith("2 hosts: a step takes 2.00 of the CPU that it takes on one, hosts alone")


def test_hosts_share_a_database_or_there_are_none() -> None:
    said = CliRunner().invoke(main, ["bench", "--hosts", "2", "--workload", "W1"])
    assert said.exit_code == 2
    assert "name it with --data" in said.output


def test_only_loops_are_run_on_several_hosts() -> None:
    assert W1.with_hosts(1) is W1
    assert (W1.with_hosts(4).drivers, W1.with_hosts(4).processes, W1.with_hosts(4).marks) == ((POSTGRES,), 4, ())
    assert BY_NAME["W4"].with_hosts(4).drivers == ()
    # A peer is run beside one host.
    assert with_peers([W1.with_hosts(4)], ("dbos-postgres",))[0].drivers == (POSTGRES,)
