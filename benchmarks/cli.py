"""`perdure bench`: choose what to run, watch it, show what it came to."""

import importlib.util
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ..daemon.config import PROCESSES_MAX
from .child import RunFailed, run_in_child
from .commands import compare, draw, gate, report, see_that_it_can_be_drawn
from .drivers.sdk.sdk_driver import HISTORY, SdkResults, SdkRunFailed, SdkSetup, through_sdk
from .drivers.sdk.sdk_driver import WORKLOADS as SDK_WORKLOADS
from .machine import machine
from .peers.peers import DBOS_POSTGRES, PEERS, Peer, PeerMissing, demand, install
from .peers.peers import described as peer_described
from .report.beside import beside, with_peers
from .report.machine_load import LoadReading
from .report.on_postgres import folder_or_database, lines_of
from .report.results import Result, Results, interleaved
from .report.tables import driver_title, print_report
from .run import Run
from .run_process import ProgressMessage
from .studies.lists import lists
from .studies.state import state
from .workloads.table import BY_NAME, SUITES, WORKLOADS
from .workloads.workload import BASIC, DRIVERS, POSTGRES, SECONDS, Shape, Workload

SECONDS_QUICK = 0.3
QUICK_PART = 20  # a workload with a number of instances of its own has so many times fewer when it is quick
BOTH = "both"
SDK = "sdk"
ALL = "all"
ARRIVING = "W1"  # what instances are of that arrive at a rate, unless a workload is named

NAMES = list(BY_NAME)


def listed(suite: str) -> str:
    """The workloads of a suite, for people."""
    lines = (f"  {of.name}  {of.title}: {of.what}" for of in WORKLOADS if of.suite == suite)
    return "\n".join(("\b", f"{suite}: {SUITES[suite]}", *lines))


@click.group(epilog="\n\n".join(("Workloads, by suite:", *map(listed, SUITES))), invoke_without_command=True)
@click.option(
    "--suite", type=click.Choice([*SUITES, ALL]), default=BASIC, show_default=True, help="Which workloads to run."
)
@click.option(
    "--workload",
    "names",
    multiple=True,
    type=click.Choice(NAMES),
    metavar="NAME",
    help="Run only this one, whatever its suite; may be repeated.",
)
@click.option(
    "--driver",
    type=click.Choice([*DRIVERS, BOTH, SDK]),
    default=BOTH,
    show_default=True,
    help="process: the engine in the load's process. http: a daemon. sdk: a daemon, and a worker on Dapr's Python "
    "SDK, beside a server that stores nothing (W1, W2 and a long history).",
)
@click.option(
    "--sdk-python",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="For --driver sdk: a Python that has dapr==1.19.0.",
)
@click.option(
    "--peer",
    "peer_names",
    multiple=True,
    type=click.Choice(list(PEERS)),
    help="Run another engine too, next to each run of Perdure; may be repeated. Of the basic suite it has W1 to W4.",
)
@click.option(
    "--peers",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder that the peers are installed in. Without --peer: run all of them.",
)
@click.option("--install-peers", is_flag=True, help="Install into that folder first what is missing there.")
@click.option(
    "--in-flight",
    multiple=True,
    type=click.IntRange(1),
    help="Instances under way at once; repeat it for a curve.  [default: each workload's own]",
)
@click.option(
    "--rate",
    "rates",
    multiple=True,
    type=click.FloatRange(0, min_open=True),
    help=f"Start so many instances a second, whether or not others have ended; repeat it for a curve. Runs {ARRIVING} "
    "unless a workload is named.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    help="How long a run goes on that has no number of instances of its own.  "
    f"[default: {SECONDS:g}, or the workload's own]",
)
@click.option("--instances", type=click.IntRange(10), help="How many instances a run has, instead of a time.")
@click.option("--quick", is_flag=True, help=f"Only see that it works: {SECONDS_QUICK:g} seconds each.")
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True, help="Runs of each; medians are shown.")
@click.option(
    "--durability",
    type=click.Choice(["full", "relaxed"]),
    default="full",
    show_default=True,
    help="What a commit survives: a power cut, or only a crash of the process.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, PROCESSES_MAX),
    default=1,
    show_default=True,
    help="Processes that share the work, each with a part of the store. Of the workloads there are the loops then that "
    "have as many instances in flight, and over HTTP also events and rates.",
)
@click.option(
    "--hosts",
    multiple=True,
    type=click.IntRange(1, PROCESSES_MAX),
    help="With a database: run the loops also on so many hosts that share it, each with as many instances in flight; "
    "repeat it for a curve. What a step takes of the CPU, hosts and server together, is compared with one host.",
)
@click.option("--always-replay", is_flag=True, help="Rebuild each instance from its history at every turn.")
@click.option(
    "--data",
    metavar="DIRECTORY",
    callback=lambda _context, _parameter, value: folder_or_database(value),
    help="A folder on the disk to measure, by default the system's temporary one; or the address of a PostgreSQL "
    "database, on which each loop is run too, next to each run on SQLite, and so is the peer that uses PostgreSQL.",
)
@click.option("--json", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures here.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with drawings here.")
@click.pass_context
def bench(context: click.Context, /, **values: Any) -> None:
    """Measure this build on this machine.

    Each run has a process and a store of its own. The engine's defaults hold unless said otherwise, so every figure
    is of commits that were flushed to the disk.
    """
    if context.invoked_subcommand is not None:
        refuse_options(context)
        return
    options = Options(**values)
    if importlib.util.find_spec("psutil") is None:
        raise click.ClickException("this needs psutil: pip install 'perdure[bench]'")
    if options.driver == SDK:
        bench_sdk(options)
        return
    if options.html is not None:
        see_that_it_can_be_drawn()
    chosen = options.chosen()
    try:
        options.prepare_peers()
    except PeerMissing as error:
        raise click.ClickException(str(error)) from None
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="perdure-bench-", dir=options.folder) as folder:
        try:
            results = carry_out(options.runs(), Path(folder), Console(stderr=True))
        except RunFailed as error:
            raise click.ClickException(str(error)) from None
    on_database = (POSTGRES,) if options.database is not None else ()
    print_report(with_peers(chosen, on_database), results, Console())
    if options.database is not None:
        click.echo(lines_of(with_peers(chosen, on_database), results))
    if options.engines:
        results.peers.update(
            {peer.name: peer_described(options.peers_folder, peer, options.database) for peer in options.engines}
        )
        Console().print(beside(chosen, results))
    if options.json is not None:
        results.write(options.json)
    if options.html is not None:
        draw([results], html=options.html)


for command in (report, compare, gate, lists, state):
    bench.add_command(command)


def refuse_options(context: click.Context) -> None:
    """Options in front of a command would be of no effect."""
    for parameter in context.command.params:
        if parameter.name and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            command = f"{context.command_path} {context.invoked_subcommand}"
            raise click.UsageError(f"{parameter.opts[0]} is an option of a run, not of `{command}`.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for."""

    suite: str
    names: tuple[str, ...]  # none: all of the suite
    driver: str
    sdk_python: Path | None
    peer_names: tuple[str, ...]
    peers: Path | None
    install_peers: bool
    in_flight: tuple[int, ...]  # none: each workload's own
    rates: tuple[float, ...]  # none: each instance is started in the place of one that has ended
    seconds: float | None
    instances: int | None
    quick: bool
    repeat: int
    durability: str
    processes: int
    hosts: tuple[int, ...]  # that share the database, beside one alone
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

    def chosen(self) -> list[Workload]:
        """The workloads as they are to be run, without marks where these do not hold.

        Raises:
            click.UsageError: Some of them cannot be run so.
        """
        self.check_processes()
        if self.database is not None and (self.processes > 1 or self.durability != "full"):
            raise click.UsageError("on a database there is one process, or --hosts, and durability full.")
        if self.hosts and self.database is None:
            raise click.UsageError("--hosts is of hosts that share a database: name it with --data.")
        found = [
            one.with_processes(self.processes).with_hosts(hosts)
            for named in self.named()
            for one in (self.arriving(named) or named.variants(self.in_flight))
            for hosts in dict.fromkeys((1, *self.hosts))
        ]
        plain = self.durability == "full" and not self.always_replay and not self.quick
        return [
            workload
            if plain and workload.marks_hold(seconds=self.run_seconds(workload.seconds), instances=self.instances)
            else workload.without_marks()
            for workload in found
        ]

    def named(self) -> list[Workload]:
        names = self.names or ((ARRIVING,) if self.rates else ())
        return [
            workload
            for workload in WORKLOADS
            if (workload.name in names if names else self.suite in (workload.suite, ALL))
        ]

    def arriving(self, workload: Workload) -> list[Workload]:
        """A workload at each of the rates that were asked for."""
        if self.rates and self.in_flight:
            raise click.UsageError(
                "--rate and --in-flight exclude each other: at a rate, nothing holds instances back."
            )
        if self.rates and self.engines:
            raise click.UsageError("--rate cannot be used with --peer or --peers: what is compared are rates.")
        if self.rates and workload.shape is not Shape.LOOP:
            raise click.UsageError(f"{workload.name} cannot be run with --rate.")
        return [workload.with_rate(rate) for rate in dict.fromkeys(self.rates)]

    def check_processes(self) -> None:
        """See that nothing was asked for that several processes cannot do.

        Raises:
            click.UsageError: Something was.
        """
        if self.processes == 1:
            return
        if self.engines:
            raise click.UsageError("--processes cannot be used with --peer or --peers: pairs are of one process.")
        if self.durability != "full":
            raise click.UsageError("--processes cannot be used with --durability relaxed, which such a daemon refuses.")

    def run_seconds(self, usual: float = SECONDS) -> float:
        return self.seconds or (SECONDS_QUICK if self.quick else usual)

    def run_instances(self, workload: Workload) -> int | None:
        if self.instances is not None or workload.instances is None or workload.shape is Shape.OPEN:
            return self.instances
        return max(1, workload.instances // QUICK_PART) if self.quick else workload.instances

    @property
    def engines(self) -> list[Peer]:
        """The other engines that are to be run."""
        return [
            peer
            for peer in PEERS.values()
            if (peer.name in self.peer_names if self.peer_names else self.peers is not None)
        ]

    @property
    def peers_folder(self) -> Path:
        assert self.peers is not None
        # Not resolved: a virtual environment's Python is a link, and is known by where the link is.
        return self.peers.absolute()

    def prepare_peers(self) -> None:
        """Install peers if that was asked for, and see that they are there.

        Raises:
            PeerMissing: They are not.
        """
        if self.engines and self.peers is not None and self.install_peers:
            install(self.peers_folder, self.engines, lambda line: click.echo(line, err=True))
        if self.engines or self.install_peers:
            demand(self.peers, self.engines)

    def runs(self) -> list[Run]:
        """All runs, in their order.

        Raises:
            click.UsageError: There are none.
        """
        peers = (*(peer.name for peer in self.engines), *((POSTGRES,) if self.database is not None else ()))
        drivers = (*(DRIVERS if self.driver == BOTH else (self.driver,)), *peers)
        order = interleaved(with_peers(self.chosen(), peers), drivers, self.repeat)
        if not order:
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
            )
            for workload, driver in order
        ]


def bench_sdk(options: Options) -> None:
    """Measure through Dapr's Python SDK, which has a report of its own: what counts there is pairs of runs."""
    if options.engines:
        raise click.UsageError("--peer cannot be used with --driver sdk.")
    if options.processes > 1 and (HISTORY in options.names or not options.names):
        raise click.UsageError("--processes with --driver sdk needs --workload W1 or W2: one history has one worker.")
    if options.sdk_python is None:
        raise click.UsageError("--driver sdk needs --sdk-python: a Python that has dapr==1.19.0.")
    strangers = set(options.names) - set(SDK_WORKLOADS)
    if strangers:
        raise click.UsageError(f"{', '.join(sorted(strangers))} cannot be run with --driver sdk.")
    if options.instances is not None:
        raise click.UsageError("--instances cannot be used with --driver sdk, where a run has a time: use --seconds.")
    if options.suite != BASIC or options.rates or len(options.in_flight) > 1 or options.html is not None:
        raise click.UsageError("--suite, --rate, --html and several --in-flight cannot be used with --driver sdk.")
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    setup = SdkSetup(
        # Not resolved: a virtual environment's Python is a link, and is known by where the link is.
        sdk_python=options.sdk_python.absolute(),
        seconds=options.run_seconds(),
        repeat=options.repeat,
        in_flight=next(iter(options.in_flight), None),
        durability=options.durability,
        always_replay=options.always_replay,
        folder=options.folder,
        quick=options.quick,
        processes=options.processes,
    )
    began_at = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        runs = through_sdk(setup, options.names or SDK_WORKLOADS, Console())
    except SdkRunFailed as error:
        raise click.ClickException(str(error)) from None
    if options.json is not None:
        with tempfile.TemporaryDirectory(prefix="perdure-bench-", dir=options.folder) as folder:
            about = machine(Path(folder))
        results = SdkResults(
            machine=about,
            began_at=began_at,
            durability=options.durability,
            always_replay=options.always_replay,
            runs=runs,
        )
        results.write(options.json)


def carry_out(runs: Sequence[Run], folder: Path, console: Console) -> Results:
    """Carry out runs one after the other, and show how far they are."""
    results = Results(machine=machine(folder), began_at=datetime.now(UTC).isoformat(timespec="seconds"))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[units]:>9,} {task.fields[unit]}"),
        TimeElapsedColumn(),
    )
    # Drawn twice a second: the bar must not take what it shows the progress of.
    with Progress(*columns, console=console, refresh_per_second=2, transient=True) as progress:
        for number, run in enumerate(runs):
            workload = run.variant
            task = progress.add_task(
                f"{number + 1}/{len(runs)} {workload.name} {workload.title}, {driver_title(run.driver, run.processes)}",
                total=1.0,
                units=0,
                unit=workload.unit,
            )

            def watch(part: ProgressMessage, task: TaskID = task) -> None:
                progress.update(task, completed=part.share, units=part.units)

            with tempfile.TemporaryDirectory(dir=folder) as own:
                reading = LoadReading()
                outcome = run_in_child(run, Path(own), watch)
                results.results.append(Result(run=run, outcome=outcome, machine_load=reading.until_now()))
            progress.remove_task(task)
    return results
