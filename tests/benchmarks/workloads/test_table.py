"""The table: its rows name workflows of the app under test."""

import pytest

from perdure import Engine
from perdure.benchmarks.workloads.app import app, client
from perdure.benchmarks.workloads.table import BY_NAME, OVER_SDK, SUITES, WORKLOADS
from perdure.benchmarks.workloads.workload import DRIVERS, SDK, Shape, Workload


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_a_workload_names_a_workflow_of_the_app_and_marks_of_what_is_run(workload: Workload) -> None:
    assert workload.workflow in app.workflows
    assert set(workload.drivers) <= set(DRIVERS)
    beside = {SDK} if workload.name in OVER_SDK else set()
    assert {mark.driver for mark in workload.marks} <= set(workload.drivers) | beside
    run = {variant.in_flight for variant in workload.variants()}
    assert {mark.in_flight for mark in workload.marks} <= {None, *run}


@pytest.mark.anyio
async def test_a_loop_returns_what_its_row_says() -> None:
    loops = [of for of in WORKLOADS if of.shape is Shape.LOOP and of.title != "delay"]  # which takes five seconds
    engine = Engine(app, data=":memory:")
    client.set(engine.client)
    async with engine:
        wrong = [of.name for of in loops if await engine.client.run(of.workflow, input=of.input) != of.output]
    assert not wrong
    assert len(loops) > 10


def test_every_workload_has_a_name_of_its_own_and_a_suite_and_every_suite_has_workloads() -> None:
    assert len(set(BY_NAME)) == len(WORKLOADS) + 1, "and the long chain"
    assert {workload.suite for workload in WORKLOADS} == set(SUITES)


def test_payloads_are_as_long_as_they_say() -> None:
    assert [(of.title, len(of.input)) for of in WORKLOADS if of.workflow == "carry"] == [
        ("10 kB", 10_000),
        ("50 kB", 50_000),
        ("100 kB", 100_000),
    ]
