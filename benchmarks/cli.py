"""`perdure bench`: chooses the runs, shows their progress and their results."""

import importlib.util
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..daemon.config import PROCESSES_MAX
from .commands import NEW_FILE, compare, draw, gate, report
from .drivers.database_server import check_address
from .peers.peers import DBOS_POSTGRES, PEERS, Peer, can_run, demand, described, install
from .performing import perform
from .report.machine import machine, machine_load
from .report.results import Case, Result, Results
from .report.tables import report as report_of
from .report.vega import demand_vl_convert
from .run_process import run_in_child
from .studies.lists import lists
from .studies.state import state
from .terminal import console_of, show
from .workloads.run import Run
from .workloads.table import BY_NAME, LONG_CHAIN, OVER_SDK, SUITES, WORKLOADS
from .workloads.workload import BASIC, DRIVERS, POSTGRES, SDK, SDK_DRIVERS, SECONDS, STUB, Shape, Workload

SECONDS_QUICK = 0.3
QUICK_PART = 20  # a quick run divides a workload's own number of instances by this
BOTH, ALL = "both", "all"
ARRIVING = "W1"  # the default workload at a rate of arrivals

option = partial(click.Option, show_default=True)
FOLDER = click.Path(file_okay=False, path_type=Path)


def listed(suite: str) -> str:
    lines = (f"  {of.name}  {of.title}: {of.what}" for of in WORKLOADS if of.suite == suite)
    return "\n".join(("\b", f"{suite}: {SUITES[suite]}", *lines))


def folder_or_database(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Path | str | None:
    if value is None or "://" not in value:
        return Path(value) if value is not None else None
    try:
        return check_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


# fmt: off
OPTIONS: list[click.Parameter] = [
    option(["--suite"], type=click.Choice([*SUITES, ALL]), default=BASIC, help="Which workloads to run."),
    option(["--workload", "names"], multiple=True, type=click.Choice(list(BY_NAME)), metavar="NAME",
           help="Run only this workload, of any suite; may be repeated."),
    option(["--driver"], type=click.Choice([*DRIVERS, BOTH, SDK]), default=BOTH,
           help="process: the engine in the load's process. http: a daemon. sdk: a daemon, and a worker on Dapr's "
           "Python SDK, beside a server that stores nothing (W1, W2 and a long history)."),
    option(["--sdk-python"], type=click.Path(exists=True, dir_okay=False, path_type=Path),
           help="For --driver sdk: a Python that has dapr==1.19.0."),
    option(["--peer", "peer_names"], multiple=True, type=click.Choice(list(PEERS)),
           help="Run another engine too, next to each run of Perdure; may be repeated. Of the basic suite it has W1 to "
           "W4."),
    option(["--peers"], type=FOLDER, help="The folder with the installed peers. Without --peer: run all of them."),
    option(["--install-peers"], is_flag=True, help="Install missing peers into that folder first."),
    option(["--in-flight"], multiple=True, type=click.IntRange(1),
           help="Instances under way at once; repeat it for a curve.  [default: each workload's own]"),
    option(["--rate", "rates"], multiple=True, type=click.FloatRange(0, min_open=True),
           help="Start this number of instances a second, even if earlier ones still run; repeat it for a curve. Runs "
           f"{ARRIVING} unless a workload is named."),
    option(["--seconds"], type=click.FloatRange(0, min_open=True),
           help="The length of a run, for workloads without a fixed number of instances.  "
           f"[default: {SECONDS:g}, or the workload's own]"),
    option(["--instances"], type=click.IntRange(10), help="The number of instances of a run, in place of its length."),
    option(["--quick"], is_flag=True, help=f"Only check that it works: {SECONDS_QUICK:g} seconds each."),
    option(["--repeat"], type=click.IntRange(1), default=1, help="Runs of each; medians are shown."),
    option(["--durability"], type=click.Choice(["full", "relaxed"]), default="full",
           help="full: a commit survives a power cut. relaxed: it only survives a crash of the process."),
    option(["--processes"], type=click.IntRange(1, PROCESSES_MAX), default=1,
           help="Processes that share the work, each with a part of the store. Only loops with at least this number "
           "of instances in flight are run then, and over HTTP also events and rates."),
    option(["--hosts"], multiple=True, type=click.IntRange(1, PROCESSES_MAX),
           help="With a database: run the loops also on this number of hosts that share it, each with the same number "
           "of instances in flight; repeat it for a curve. The CPU of a step, hosts and server together, is compared "
           "with one host."),
    option(["--always-replay"], is_flag=True, help="Rebuild each instance from its history at every turn."),
    option(["--data"], metavar="DIRECTORY", callback=folder_or_database,
           help="A folder on the disk to measure, by default the system's temporary folder; or the address of a "
           "PostgreSQL database: each loop is run on it too, next to each run on SQLite, and by the peer that uses "
           "PostgreSQL."),
    option(["--json"], type=NEW_FILE, help="Write all figures here."),
    option(["--html"], type=NEW_FILE, help="Write a page with drawings here."),
]
# fmt: on


@click.group(
    params=OPTIONS,
    epilog="\n\n".join(("Workloads, by suite:", *map(listed, SUITES))),
    invoke_without_command=True,
)
@click.pass_context
def bench(context: click.Context, /, **values: Any) -> None:
    """Measure this build on this machine.

    Each run has its own process and store. The engine's defaults apply unless an option changes them, so all figures
    are of commits that were flushed to the disk.
    """
    if context.invoked_subcommand is not None:
        refuse_options(context)
        return
    options = Options(**values)
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


for command in (report, compare, gate, lists, state):
    bench.add_command(command)


def refuse_options(context: click.Context) -> None:
    """Refuse options before a subcommand, which would have no effect."""
    for parameter in context.command.params:
        if parameter.name and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            command = f"{context.command_path} {context.invoked_subcommand}"
            raise click.UsageError(f"{parameter.opts[0]} is an option of a run, not of `{command}`.")


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
