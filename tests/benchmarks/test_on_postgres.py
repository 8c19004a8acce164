"""--data is a folder or a database; of a database the report says what share of SQLite's rate it has."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from perdure.benchmarks.beside import with_peers
from perdure.benchmarks.on_postgres import folder_or_database, shares_of
from perdure.benchmarks.workload import POSTGRES, PROCESS
from perdure.benchmarks.workloads import BY_NAME
from perdure.cli.main import main

from ..support.benchmarks.results import in_flight, result, results


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
    assert said == "W1 with 50 in flight: on PostgreSQL 0.70 of SQLite (mark: at least 0.6)"


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
    said = shares_of(workloads, results(*found))
    assert "on PostgreSQL 0.80 of SQLite, median of 3 pairs from 0.70 to 0.90" in said
    # A store that was not run has no share.
    assert shares_of(workloads, results(found[0])) == ""


def test_several_processes_are_not_measured_on_a_database() -> None:
    said = CliRunner().invoke(main, ["bench", "--data", "postgresql://h/d", "--processes", "2", "--workload", "W1"])
    assert said.exit_code == 2
    assert "on a database there is one process" in said.output
