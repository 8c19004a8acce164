"""The runs of `perdure bench`: chosen by its options, carried out one after the other, shown and written.

`benchmarks/cli.py` calls it. `benchmarks/run_process.py` gives each run a process.
"""

import importlib.util
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import click

from .commands import draw
from .peers.peers import DBOS_POSTGRES, PEERS, Peer, can_run, demand, described, install
from .performing import perform
from .report.machine import machine, machine_load
from .report.results import Case, Result, Results
from .report.tables import report as report_of
from .report.vega import demand_vl_convert
from .run_process import run_in_child
from .terminal import console_of, show
from .workloads.run import Run
from .workloads.table import BY_NAME, LONG_CHAIN, OVER_SDK, WORKLOADS
from .workloads.workload import (
    ALL,
    ARRIVING,
    BASIC,
    BOTH,
    DRIVERS,
    POSTGRES,
    SDK,
    SDK_DRIVERS,
    SECONDS,
    SECONDS_QUICK,
    STUB,
    Shape,
    Workload,
)

QUICK_PART = 20  # a quick run divides a workload's own number of instances by this


def measure(options: "Options") -> None:
    """Carry the chosen runs out, and show and write what they have found."""
    if importlib.util.find_spec("psutil") is None:
        raise click.ClickException("this needs psutil: pip install 'perdure[bench]'")
    if options.html is not None:
        demand_vl_convert()
    options.chosen()  # raises if the options contradict each other
    options.prepare_peers()
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="perdure-bench-", dir=options.folder) as folder:
        results = carry_out(options.runs(), Path(folder))
    for peer in options.engines:
        results.peers[peer.name] = described(peer, options.database)
    show(*report_of(results))
    if options.json is not None:
        results.write(options.json)
    if options.html is not None:
        draw([results], html=options.html)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    suite: str
    names: tuple[str, ...]  # empty: all of the suite
    driver: str
    sdk_python: Path | None
    peer_names: tuple[str, ...]
    peers: Path | None
    install_peers: bool
    in_flight: tuple[int, ...]  # empty: each workload's own
    rates: tuple[float, ...]  # empty: a new instance replaces each that has ended
    seconds: float | None
    instances: int | None
    quick: bool
    repeat: int
    durability: str
    processes: int
    hosts: tuple[int, ...]  # numbers of hosts that share the database, besides one host
    always_replay: bool
    data: Path | str | None  # a folder, or the address of a database
    json: Path | None
    html: Path | None

    @property
    def folder(self) -> Path | None:
        return self.data if isinstance(self.data, Path) else None

    @property
    def database(self) -> str | None:
        return self.data if isinstance(self.data, str) else None

    @property
    def engines(self) -> list[Peer]:
        named = self.peer_names or (tuple(PEERS) if self.peers is not None else ())
        return [peer for peer in PEERS.values() if peer.name in named]

    @property
    def beside(self) -> tuple[str, ...]:
        return (*(peer.name for peer in self.engines), *((POSTGRES,) if self.database is not None else ()))

    @property
    def peers_folder(self) -> Path:
        assert self.peers is not None
        # Not resolved: a virtual environment is found by the path of its Python, which is a link.
        return self.peers.absolute()

    def prepare_peers(self) -> None:
        if self.engines and self.peers is not None and self.install_peers:
            install(self.peers_folder, self.engines, lambda line: click.echo(line, err=True))
        if self.engines or self.install_peers:
            demand(self.peers, self.engines)

    def check(self) -> None:
        sdk, several = self.driver == SDK, self.processes > 1
        strangers = sorted(set(self.names) - set(OVER_SDK))
        refused = {
            "--processes cannot be used with --peer or --peers: pairs are of one process.": several and self.engines,
            "--processes cannot be used with --durability relaxed, which such a daemon refuses.": (
                several and self.durability != "full"
            ),
            "on a database there is one process, or --hosts, and durability full.": (
                self.database and (several or self.durability != "full")
            ),
            "--hosts is of hosts that share a database: name it with --data.": self.hosts and not self.database,
            "--rate and --in-flight exclude each other: at a rate, nothing holds instances back.": (
                self.rates and self.in_flight
            ),
            "--rate cannot be used with --peer or --peers: rates are compared.": self.rates and self.engines,
            "--peer cannot be used with --driver sdk.": sdk and self.engines,
            "--processes with --driver sdk needs --workload W1 or W2: one history has one worker.": (
                sdk and several and (not self.names or LONG_CHAIN.name in self.names)
            ),
            "--driver sdk needs --sdk-python: a Python that has dapr==1.19.0.": sdk and self.sdk_python is None,
            f"{', '.join(strangers)} cannot be run with --driver sdk.": sdk and strangers,
            "--instances cannot be used with --driver sdk, where a run has a time: use --seconds.": (
                sdk and self.instances is not None
            ),
            "--suite, --rate and several --in-flight cannot be used with --driver sdk.": (
                sdk and (self.suite != BASIC or self.rates or len(self.in_flight) > 1)
            ),
        }
        for why, wrong in refused.items():
            if wrong:
                raise click.UsageError(why)

    def chosen(self) -> list[Workload]:
        """The workloads as they are to be run, each with the drivers that it has."""
        self.check()
        if self.driver == SDK:
            return self.over_sdk()
        found = [
            one.with_processes(self.processes).with_hosts(hosts)
            for named in self.named()
            for one in (self.arriving(named) or named.variants(self.in_flight))
            for hosts in dict.fromkeys((1, *self.hosts))
        ]
        # Runs of several hosts or processes have no pairs.
        return [
            replace(one, drivers=(*one.drivers, *self.beside)) if can_run(one) and one.processes == 1 else one
            for one in found
        ]

    def named(self) -> list[Workload]:
        names = self.names or ((ARRIVING,) if self.rates else ())
        return [
            workload
            for workload in BY_NAME.values()
            if (workload.name in names if names else self.suite in (workload.suite, ALL) and workload in WORKLOADS)
        ]

    def over_sdk(self) -> list[Workload]:
        """Pairs of Perdure and the stub, or of one process and several."""
        found = []
        for name in self.names or OVER_SDK:
            workload = BY_NAME[name]
            if workload.shape is Shape.LOOP:
                (number,) = self.in_flight or (workload.in_flight,)
                workload = replace(workload.with_in_flight(number), drivers=(STUB, SDK))
            if self.processes > 1:
                found += [replace(workload, processes=number, drivers=(SDK,)) for number in (1, self.processes)]
            else:
                found.append(workload)
        return found

    def arriving(self, workload: Workload) -> list[Workload]:
        if self.rates and workload.shape is not Shape.LOOP:
            raise click.UsageError(f"{workload.name} cannot be run with --rate.")
        return [workload.with_rate(rate) for rate in dict.fromkeys(self.rates)]

    def run_seconds(self, usual: float = SECONDS) -> float:
        return self.seconds or (SECONDS_QUICK if self.quick else usual)

    def run_instances(self, workload: Workload) -> int | None:
        if self.instances is not None or workload.instances is None or workload.shape is Shape.OPEN:
            return self.instances
        return max(1, workload.instances // QUICK_PART) if self.quick else workload.instances

    def runs(self) -> list[Run]:
        """All runs once, then all again, so that other work of the machine affects them equally."""
        own = {BOTH: DRIVERS, SDK: SDK_DRIVERS}.get(self.driver, (self.driver,))
        once = [pair for pair in product(self.chosen(), (*own, *self.beside)) if pair[1] in pair[0].drivers]
        if not once:
            names = ", ".join(self.names) or (ARRIVING if self.rates else f"Suite {self.suite}")
            if self.processes > 1:
                raise click.UsageError(
                    f"{names} cannot be run with --driver {self.driver} and --processes {self.processes}: several "
                    "processes run loops with at least as many instances in flight, and over HTTP events and rates."
                )
            raise click.UsageError(f"{names} cannot be run with --driver {self.driver}.")
        return [
            Run(
                workload=workload.name,
                driver=driver,
                in_flight=workload.in_flight,
                seconds=self.run_seconds(workload.seconds),
                instances=self.run_instances(workload),
                durability=self.durability,
                always_replay=self.always_replay,
                rate=workload.rate,
                peers=str(self.peers_folder) if driver in PEERS else None,
                processes=workload.processes,
                database=self.database if driver in (POSTGRES, DBOS_POSTGRES) else None,
                sdk_python=str(self.sdk_python.absolute()) if driver in SDK_DRIVERS and self.sdk_python else None,
            )
            for round_ in range(self.repeat)
            for workload, driver in once
            # One long chain suffices, and takes a minute.
            if round_ == 0 or workload.shape is not Shape.TURNS
        ]


def carry_out(runs: Sequence[Run], folder: Path) -> Results:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415  to draw

    results = Results(machine=machine(folder), began_at=datetime.now(UTC).isoformat(timespec="seconds"))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[units]:>9,} {task.fields[unit]}"),
        TimeElapsedColumn(),
    )
    # Drawn twice a second, so that the bar takes little CPU from the run.
    with Progress(*columns, console=console_of(stderr=True), refresh_per_second=2, transient=True) as progress:
        for number, run in enumerate(runs):
            case = Case(run=run, machine=results.machine, outcomes=[])
            what = f"{number + 1}/{len(runs)} {case.title}, {case.driver_title}"
            task = progress.add_task(what, total=1.0, units=0, unit=run.variant.unit)

            def watch(share: float, units: int, task: Any = task) -> None:
                progress.update(task, completed=share, units=units)

            with tempfile.TemporaryDirectory(dir=folder) as own:
                machine_load()  # resets the measurement
                outcome = run_in_child(perform, run, Path(own), watch)
                results.results.append(Result(run=run, outcome=outcome, machine_load=machine_load()))
            progress.remove_task(task)
    return results
