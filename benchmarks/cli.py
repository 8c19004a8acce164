"""`perdure bench`: choose what to run, watch it, show what it came to."""

import importlib.util
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from .beside import beside, with_peers
from .child import Part, RunFailed, run_in_child
from .machine import machine
from .peers import PEERS, Peer, PeerMissing, demand, install
from .peers import described as peer_described
from .report import DRIVER_TITLES, print_report
from .results import Result, Results, interleaved
from .run import Run
from .sdk_driver import WORKLOADS as SDK_WORKLOADS
from .sdk_driver import SdkRunFailed, through_sdk
from .workloads import BY_NAME, DRIVERS, WORKLOADS, Workload

SECONDS = 4.0
SECONDS_MARKED = 3.0  # a run that is over sooner was spent warming up, and says nothing about marks
SECONDS_QUICK = 0.3
BOTH = "both"
SDK = "sdk"

NAMES = list(BY_NAME)
LIST = "\n".join(f"  {workload.name}  {workload.title}: {workload.what}" for workload in WORKLOADS)


@click.command(epilog=f"\b\nWorkloads:\n{LIST}")
@click.option("--workload", "names", multiple=True, type=click.Choice(NAMES), help="Run only these.  [default: all]")
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
    help="Run another engine too, next to each run of Perdure; may be repeated (W1 to W4).",
)
@click.option(
    "--peers",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder that the peers are installed in. Without --peer: run all of them.",
)
@click.option("--install-peers", is_flag=True, help="Install into that folder first what is missing there.")
@click.option(
    "--in-flight", type=click.IntRange(1), help="Instances under way at once.  [default: each workload's own]"
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    help=f"How long a run goes on.  [default: {SECONDS:g}]",
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
@click.option("--always-replay", is_flag=True, help="Rebuild each instance from its history at every turn.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder on the disk to measure.  [default: the system's temporary one]",
)
@click.option("--json", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures here.")
def bench(**values: Any) -> None:
    """Measure this build on this machine.

    Each run has a process and a store of its own. The engine's defaults hold unless said otherwise, so every figure
    is of commits that were flushed to the disk.
    """
    options = Options(**values)
    if importlib.util.find_spec("psutil") is None:
        raise click.ClickException("this needs psutil: pip install 'perdure[bench]'")
    if options.driver == SDK:
        bench_sdk(options)
        return
    try:
        options.prepare_peers()
    except PeerMissing as error:
        raise click.ClickException(str(error)) from None
    if options.data is not None:
        options.data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="perdure-bench-", dir=options.data) as folder:
        try:
            results = carry_out(options.runs(), Path(folder), Console(stderr=True))
        except RunFailed as error:
            raise click.ClickException(str(error)) from None
    print_report(options.chosen(), results, Console())
    if options.engines:
        results.peers.update({peer.name: peer_described(options.peers_folder, peer) for peer in options.engines})
        Console().print(beside(options.chosen(), results))
    if options.json is not None:
        results.write(options.json)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for."""

    names: tuple[str, ...]  # none: all
    driver: str
    sdk_python: Path | None
    peer_names: tuple[str, ...]
    peers: Path | None
    install_peers: bool
    in_flight: int | None
    seconds: float | None
    instances: int | None
    quick: bool
    repeat: int
    durability: str
    always_replay: bool
    data: Path | None
    json: Path | None

    def chosen(self) -> list[Workload]:
        """The workloads as they are to be run, without marks where these do not hold."""
        found = [BY_NAME[name].with_in_flight(self.in_flight) for name in NAMES if name in self.names or not self.names]
        plain = self.durability == "full" and not self.always_replay and not self.quick and self.instances is None
        long = self.seconds is None or self.seconds >= SECONDS_MARKED
        return found if plain and long else [workload.without_marks() for workload in found]

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

    @property
    def run_seconds(self) -> float:
        return self.seconds or (SECONDS_QUICK if self.quick else SECONDS)

    def runs(self) -> list[Run]:
        """All runs, in their order.

        Raises:
            click.UsageError: There are none.
        """
        peers = tuple(peer.name for peer in self.engines)
        drivers = (*(DRIVERS if self.driver == BOTH else (self.driver,)), *peers)
        order = interleaved(with_peers(self.chosen(), peers), drivers, self.repeat)
        if not order:
            raise click.UsageError(f"{', '.join(self.names)} cannot be run with --driver {self.driver}.")
        return [
            Run(
                workload=workload.name,
                driver=driver,
                in_flight=workload.in_flight,
                seconds=self.run_seconds,
                instances=self.instances,
                durability=self.durability,
                always_replay=self.always_replay,
                peers=str(self.peers_folder) if driver in PEERS else None,
            )
            for workload, driver in order
        ]


def bench_sdk(options: Options) -> None:
    """Measure through Dapr's Python SDK, which has a report of its own: what counts there is pairs of runs."""
    if options.engines:
        raise click.UsageError("--peer cannot be used with --driver sdk.")
    if options.sdk_python is None:
        raise click.UsageError("--driver sdk needs --sdk-python: a Python that has dapr==1.19.0.")
    strangers = set(options.names) - set(SDK_WORKLOADS)
    if strangers:
        raise click.UsageError(f"{', '.join(sorted(strangers))} cannot be run with --driver sdk.")
    # Not resolved: a virtual environment's Python is a link, and is known by where the link is.
    python = options.sdk_python.absolute()
    names = options.names or SDK_WORKLOADS
    try:
        through_sdk(python, names, seconds=options.run_seconds, repeat=options.repeat, console=Console())
    except SdkRunFailed as error:
        raise click.ClickException(str(error)) from None


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
            workload = BY_NAME[run.workload]
            task = progress.add_task(
                f"{number + 1}/{len(runs)} {workload.name} {workload.title}, {DRIVER_TITLES[run.driver]}",
                total=1.0,
                units=0,
                unit=workload.unit,
            )

            def watch(part: Part, task: TaskID = task) -> None:
                progress.update(task, completed=part.share, units=part.units)

            with tempfile.TemporaryDirectory(dir=folder) as own:
                results.results.append(Result(run=run, outcome=run_in_child(run, Path(own), watch)))
            progress.remove_task(task)
    return results
