"""The plugin for pytest: options of simulated tests, and their summary.

The rule: it imports nothing of the engine until a simulated test is run, because pytest loads it in every suite of
every user who has perdure installed.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MARK = "perdure_plan"  # an attribute of the tests that `simulated` makes
TOLD = "perdure simulation"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of simulated tests."""
    group = parser.getgroup("perdure", "simulated tests of perdure")
    group.addoption(
        "--perdure-seeds", type=int, metavar="N", help="worlds tried at random, in place of each test's own"
    )
    group.addoption("--perdure-minutes", type=float, metavar="M", help="go on with seeds for M minutes in each test")
    group.addoption("--perdure-jobs", type=int, default=1, metavar="J", help="processes that share a test's seeds")
    group.addoption("--perdure-seed", type=int, metavar="SEED", help="this world only, with its story")
    group.addoption("--perdure-schedule", metavar="FILE", help="the schedules of a file only, with their stories")
    group.addoption(
        "--perdure-trace", choices=["steps"], help="tell each step of the worlds of --perdure-seed or -schedule"
    )
    group.addoption("--perdure-outcome", metavar="FILE", help="for a process that confirms a failure")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Run a simulated test with the options of this session; leave all others to pytest."""
    __tracebackhide__ = True
    if not hasattr(pyfuncitem.obj, MARK):
        return (yield)
    from .stories.trial.session import SESSION  # noqa: PLC0415  not before it is needed

    token = SESSION.set(_session(pyfuncitem))
    try:
        return (yield)
    finally:
        SESSION.reset(token)


@pytest.hookimpl(tryfirst=True)
def pytest_exception_interact(node: pytest.Item, call: pytest.CallInfo[Any]) -> None:
    """Have `--pdb` begin at the line of the user's that has failed, and not where the failure was told."""
    if not hasattr(getattr(node, "obj", None), MARK) or not node.config.option.usepdb or call.excinfo is None:
        return
    cause = call.excinfo.value.__cause__
    if cause is not None and cause.__traceback__ is not None:
        call.excinfo = pytest.ExceptionInfo.from_exception(cause)


def pytest_configure(config: pytest.Config) -> None:
    """Add the summary of simulated tests."""
    config.pluginmanager.register(_Summary(), "perdure-summary")


class _Summary:
    """Gathers the lines of simulated tests; with xdist in the process that has the terminal."""

    def __init__(self) -> None:
        self._told: list[tuple[str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self._told.extend((report.nodeid, str(text)) for name, text in report.user_properties if name == TOLD)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._told:
            terminalreporter.section("simulated worlds")
        for node, text in self._told:
            terminalreporter.write_line(f"{node}: {text}")


def _session(item: pytest.Function) -> Any:
    from .stories.trial.session import SimulationSession  # noqa: PLC0415

    options = item.config.option
    root = item.config.rootpath
    schedule = options.perdure_schedule
    return SimulationSession(
        node=item.nodeid,
        root=root,
        seeds=options.perdure_seeds,
        minutes=options.perdure_minutes,
        jobs=options.perdure_jobs,
        seed=options.perdure_seed,
        schedule=Path(item.config.invocation_params.dir, schedule) if schedule is not None else None,
        trace=options.perdure_trace is not None,
        outcome=Path(options.perdure_outcome) if options.perdure_outcome is not None else None,
        again=_again(item),
        tell=lambda text: item.user_properties.append((TOLD, text)),
    )


def _again(item: pytest.Function) -> tuple[str, ...]:
    """The function that runs a test again, in a process of its own."""
    config = item.config
    command = [
        sys.executable,
        "-m",
        "pytest",
        item.nodeid,
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={config.rootpath}",
    ]
    if config.inipath is not None:
        command += ["-c", str(config.inipath)]
    command += [option for plugin in config.option.plugins for option in ("-p", plugin)]
    if config.pluginmanager.hasplugin("xdist"):
        command += ["-n", "0"]
    return tuple(command)
