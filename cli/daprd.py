"""`perdure daprd`: Dapr's sidecar, as its SDKs, its command line and its run files know it, with Perdure inside.

The one law: every flag that daprd has is taken; those with a meaning here
count, and the others are named in one line of the log. A flag that daprd does
not have either is an error.

Source: dapr `cmd/daprd/options/options.go`, `pkg/metrics/options.go`; dapr/kit
`logger/options.go`; how Dapr's command line finds a sidecar: dapr/cli
`pkg/standalone/list.go`; what it wants before it starts one: `pkg/standalone/run.go`.
"""

import copy
import logging
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..daemon.config import Config
from .config import RUN_OPTIONS, build_config, checked
from .parsing import parse_app_id, parse_host, parse_port, parse_size

if TYPE_CHECKING:
    from .dapr_config import DaprConfig

logger = logging.getLogger(__name__)

NAME = "daprd"  # Dapr's command line looks for a process of this name

# Flags of daprd that need no value; `--flag=false` is how one is switched off.
SWITCHES = frozenset({
    "app-ssl", "build-info", "disable-builtin-k8s-secret-store", "enable-api-logging", "enable-app-health-check",
    "enable-metrics", "enable-mtls", "enable-profiling", "help", "log-as-json", "version", "wait",
})  # fmt: skip

# And those that take one.
WITH_VALUE = frozenset({
    "actors-disseminate-timeout", "actors-service", "allowed-origins", "app-binding-options-timeout",
    "app-channel-address", "app-health-check-path", "app-health-probe-interval", "app-health-probe-timeout",
    "app-health-threshold", "app-id", "app-max-concurrency", "app-port", "app-protocol", "components-path", "config",
    "control-plane-address", "control-plane-namespace", "control-plane-trust-domain", "dapr-block-shutdown-duration",
    "dapr-graceful-shutdown-seconds", "dapr-grpc-port", "dapr-http-max-request-size", "dapr-http-port",
    "dapr-http-read-buffer-size", "dapr-internal-grpc-listen-address", "dapr-internal-grpc-port",
    "dapr-listen-addresses", "dapr-public-listen-address", "dapr-public-port", "disable-init-endpoints",
    "hot-reload-reconcile-interval", "log-level", "max-body-size", "metrics-listen-address", "metrics-port", "mode",
    "placement-host-address", "profile-port", "read-buffer-size", "reminders-service", "resources-path",
    "scheduler-host-address", "scheduler-job-streams", "sentry-address", "sentry-request-jwt-audiences",
    "unix-domain-socket",
})  # fmt: skip

OURS = frozenset({"install"})  # the only flag that daprd does not have

# What changes so much that to go on without it would be to do something else than was asked.
REFUSED: dict[str, Callable[[str], str | None]] = {
    "mode": lambda value: None if value == "standalone" else "Perdure runs on one machine: --mode standalone only.",
    "unix-domain-socket": lambda value: "Perdure listens on ports only, not on sockets in a folder." if value else None,
    "wait": lambda value: "waiting for a sidecar is not supported." if value == "true" else None,
}


def parse_arguments(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Read a command line as daprd does: `--flag value`, `--flag=value`, or either with one dash.

    Yields:
        The name of a flag without its dashes and its value, "true" for a switch; an empty name and what is no flag,
        which daprd passes over.

    Raises:
        click.UsageError: daprd has no such flag, or its value is missing.
    """
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            yield from (("", passed_over) for passed_over in rest)
            return
        if not argument.startswith("-") or argument == "-":
            yield "", argument
            continue
        name, equals, value = argument.lstrip("-").partition("=")
        name = "help" if name == "h" else name
        if name not in SWITCHES | WITH_VALUE | OURS:
            raise click.NoSuchOption(f"--{name}", f"daprd has no flag --{name}, and neither has perdure daprd.")
        if not equals:
            following = "true" if name in SWITCHES else next(rest, None)
            if following is None:
                raise click.UsageError(f"--{name} needs a value.")
            value = following
        yield name, value


class Daprd(click.Command):
    """A command with daprd's command line: the flags that count are click's, the others are set aside."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        counted = {option.opts[0].removeprefix("--") for option in self.params} | {"help"}
        kept: list[str] = []
        ignored: list[str] = []
        for name, value in parse_arguments(args):
            refusal = REFUSED[name](value) if name in REFUSED else None
            if refusal is not None:
                raise click.UsageError(f"--{name}: {refusal}")
            if name not in counted:
                ignored.append(f"--{name}" if name else repr(value))
            elif name == "help":
                kept.append("--help")
            else:
                kept.append(f"--{name}={value}")
        ctx.meta[IGNORED] = list(dict.fromkeys(ignored))
        return super().parse_args(ctx, kept)


IGNORED = f"{__name__}.ignored"


class Flag(click.Option):
    """One of daprd's flags that counts here. As in daprd, no variable stands for it."""

    def __init__(self, flag: str, *names: str, parse: Callable[[str], Any] | None = None, **rest: Any) -> None:
        if parse is not None:
            rest |= {"type": str, "callback": checked(parse)}
        super().__init__([flag, *names], show_default=True, **rest)


def parse_truth(text: str) -> bool:
    """Read a truth value as Go does."""
    if text not in TRUTHS:
        raise ValueError(f"{text!r} is neither true nor false.")
    return TRUTHS[text]


TRUTHS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}

LEVELS = {"debug": "debug", "info": "info", "warn": "warning", "error": "error", "fatal": "error"}


def parse_level(text: str) -> str:
    """Read the name that Dapr has for a level, and return ours."""
    level = LEVELS.get(text.lower())
    if level is None:
        raise ValueError(f"{text!r} is not one of {', '.join(LEVELS)}.")
    return level


def parse_body_size(text: str) -> int | None:
    """Read a size; -1 is the default, as in daprd."""
    return None if text == "-1" else parse_size(text)


def parse_addresses(text: str) -> tuple[str, ...]:
    """Read addresses with commas between them."""
    addresses = tuple(part.strip().removeprefix("[").removesuffix("]") for part in text.split(","))
    return tuple(parse_host(address) for address in addresses)


GRACE_S_DEFAULT = 5.0


def parse_grace(text: str) -> float:
    """Read whole seconds; less than none is the default, as in daprd."""
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise ValueError(f"{text!r} is not a whole number of seconds.")
    return float(text) if int(text) >= 0 else GRACE_S_DEFAULT


DAPRD_OPTIONS = (
    Flag("--app-id", parse=parse_app_id, metavar="ID", help="The app's name, and the sidecar's. Needed."),
    Flag(
        "--dapr-http-port",
        "http_port",
        parse=parse_port,
        metavar="PORT",
        default="3500",
        help="Port of the HTTP API; 0 picks a free one.",
    ),
    Flag(
        "--dapr-grpc-port",
        "grpc_port",
        parse=parse_port,
        metavar="PORT",
        default="50001",
        help="Port of the gRPC API; 0 picks a free one.",
    ),
    Flag(
        "--dapr-listen-addresses",
        "addresses",
        parse=parse_addresses,
        metavar="ADDRESS[,ADDRESS]",
        default="127.0.0.1",
        help="Address to listen on: the first of them. One that others can reach needs a token.",
    ),
    Flag(
        "--max-body-size",
        "max_body_bytes",
        parse=parse_body_size,
        metavar="SIZE",
        help="Largest request body over HTTP and message over gRPC, in bytes or as in 4Mi.  [default: 4Mi and 128Mi]",
    ),
    Flag(
        "--metrics-port",
        parse=parse_port,
        metavar="PORT",
        default="9090",
        help="Port of the metrics for Prometheus; 0 serves none.",
    ),
    Flag(
        "--enable-metrics",
        parse=parse_truth,
        metavar="TRUTH",
        default="true",
        help="--enable-metrics=false serves no metrics.",
    ),
    Flag(
        "--config",
        "config_paths",
        multiple=True,
        metavar="FILE",
        help="A Configuration, for its spec.workflow; may be repeated.",
    ),
    Flag(
        "--resources-path",
        "resources_paths",
        multiple=True,
        metavar="FOLDER",
        help="Resources, none of which has a meaning here; may be repeated.",
    ),
    Flag("--components-path", metavar="FOLDER", help="The old name of --resources-path."),
    Flag(
        "--dapr-graceful-shutdown-seconds",
        "stop_grace_s",
        parse=parse_grace,
        metavar="SECONDS",
        default=f"{GRACE_S_DEFAULT:.0f}",
        help="How long running requests may take to finish when the sidecar is told to stop.",
    ),
    Flag(
        "--log-level",
        parse=parse_level,
        metavar="LEVEL",
        default="info",
        help=f"The least severe messages to log: {', '.join(LEVELS)}.",
    ),
    Flag("--log-as-json", parse=parse_truth, metavar="TRUTH", default="false", help="Log JSON, one object a line."),
    Flag("--version", parse=parse_truth, metavar="TRUTH", default="false", help="Print Perdure's version."),
    Flag(
        "--build-info", parse=parse_truth, metavar="TRUTH", default="false", help="Print Perdure's version, in words."
    ),
    Flag(
        "--install",
        metavar="FOLDER",
        help="Write an executable named daprd there, and what Dapr's command line needs beside it, and do no more.",
    ),
)

# Options of `perdure run` that a flag of daprd's says here.
SAID_OTHERWISE = {
    "app_id",
    "grpc_port",
    "host",
    "http_port",
    "log_format",
    "log_level",
    "max_body_bytes",
    "metrics_port",
    "stop_grace_s",
}


NOT_HERE = {"processes"}  # a sidecar is one process: it serves workers


def options_by_variable() -> Iterator[click.Option]:
    """The rest of `perdure run`, which daprd has no flags for: their variables count, PERDURE_DATA and so on."""
    for option in RUN_OPTIONS:
        if option.name not in SAID_OTHERWISE | NOT_HERE:
            hidden = copy.copy(option)
            hidden.hidden = True
            if option.name == "data":
                hidden.default = None  # a file for each app id
            yield hidden


# What errors call the values of the configuration.
DAPRD_FLAGS = {
    "http_port": "--dapr-http-port",
    "grpc_port": "--dapr-grpc-port",
    "metrics_port": "--metrics-port",
    "host": "--dapr-listen-addresses",
    "unauthenticated": "Set the variable DAPR_API_TOKEN, or PERDURE_ALLOW_UNAUTHENTICATED=true.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the command line came to."""

    config: Config
    notes: tuple[str, ...]  # what has no meaning here, a line each


def build_daprd_config(
    *, ignored: Sequence[str], addresses: tuple[str, ...], app_id: str | None, data: str | None, **values: Any
) -> Told:
    """Make the configuration out of the parsed options.

    Raises:
        click.UsageError: A value is missing, or two do not go together.
        DaprFileError: A file of Dapr's cannot be used.
    """
    from .dapr_config import read_config, read_resources  # noqa: PLC0415  --help and --version need no YAML

    if app_id is None:
        raise click.UsageError("--app-id is missing. daprd needs one too.")
    if not values.pop("enable_metrics"):
        values["metrics_port"] = 0
    old_path = values.pop("components_path")
    dapr = read_config(_split(values.pop("config_paths")))
    resources = read_resources((*_split(values.pop("resources_paths")), *([old_path] if old_path else [])))
    config = build_config(
        target=None,
        flags=DAPRD_FLAGS,
        host=addresses[0],
        app_id=app_id,
        data=data or f"./perdure-{app_id}.db",
        log_format="json" if values.pop("log_as_json") else "text",
        **values,
    )
    limits = replace(config.limits, dispatch=dapr.limit(config.limits.dispatch))
    notes = tuple(_notes(ignored, addresses, dapr, resources))
    return Told(config=replace(config, limits=limits, retention=dapr.retention), notes=notes)


def _split(paths: Sequence[str]) -> list[str]:
    """Take paths with commas between them apart, as daprd does."""
    return [path for group in paths for path in group.split(",") if path]


def _notes(
    ignored: Sequence[str], addresses: Sequence[str], dapr: "DaprConfig", resources: Sequence[str]
) -> Iterator[str]:
    if ignored:
        yield f"flags of daprd without a meaning here, ignored: {', '.join(ignored)}"
    if addresses[1:]:
        yield f"listening on {addresses[0]} only, not on {', '.join(addresses[1:])}"
    if dapr.ignored:
        yield f"configuration without a meaning here, ignored: {', '.join(dapr.ignored)}"
    if resources:
        yield f"resources without a meaning here, ignored: {', '.join(resources)}"


@click.command(NAME, cls=Daprd, params=[*DAPRD_OPTIONS, *options_by_variable()])
@click.pass_context
def daprd(ctx: click.Context, /, *, install: str | None, version: bool, build_info: bool, **values: Any) -> None:
    """Stand in for Dapr's sidecar.

    Takes daprd's flags; those that are not below are ignored, with one line in the log. What daprd has no flag for is
    set by the variables of `perdure run`: PERDURE_DATA (by default ./perdure-ID.db), PERDURE_DURABILITY and so on.
    """
    if install is not None:
        folder = Path(install)
        for written in (install_into(folder), *furnish(folder)):
            click.echo(f"Wrote {written}.")
        return
    if version or build_info:
        click.echo(f"Perdure {our_version()}, in the place of daprd" if build_info else our_version())
        return
    from ..actors.errors import PerdureError  # noqa: PLC0415  the engine and the server: a wrong flag need not wait

    try:
        told = build_daprd_config(ignored=ctx.meta[IGNORED], **values)
    except PerdureError as error:
        raise click.ClickException(str(error)) from None
    from ..daemon.daemon import run as run_daemon  # noqa: PLC0415
    from ..daemon.logs import configure_logging  # noqa: PLC0415
    from ..daemon.serve import leave_threads_behind  # noqa: PLC0415

    take_name()
    configure_logging(told.config.log_level, told.config.log_format)
    for note in told.notes:
        logger.info("%s", note)
    try:
        run_daemon(told.config, None, announce)
    except PerdureError as error:
        raise click.ClickException(str(error)) from None
    leave_threads_behind()


def announce(line: str) -> None:
    print(line, flush=True)


def our_version() -> str:
    try:
        return version("perdure")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"


def take_name(comm: Path = Path("/proc/self/comm")) -> None:
    """Be called daprd in the list of processes, where the system lets a process choose.

    A script named daprd is called so without this, on Linux; a script that
    reaches Python through a shell, and `perdure daprd` itself, are not.
    """
    try:
        comm.write_text(NAME)
    except OSError:
        logger.debug("this system does not let a process choose its name")


MARK = "# Perdure in the place of Dapr's sidecar; written by `perdure daprd --install`."

SHEBANG_MAX = 127  # what older kernels read of the first line


def install_into(folder: Path) -> Path:
    """Write an executable named daprd that runs this Python with this command, and return where it is.

    Raises:
        click.ClickException: There is another daprd, or the folder cannot be written.
    """
    path = folder / NAME
    try:
        if path.exists() and MARK.encode() not in path.read_bytes():
            raise click.ClickException(
                f"{path} is another daprd, perhaps Dapr's own. Move it away, or choose another folder."
            )
        folder.mkdir(parents=True, exist_ok=True)
        # A daprd that is running keeps the file it was started from.
        fresh = path.with_name(f".{NAME}.new")
        fresh.write_text(script(sys.executable))
        fresh.chmod(0o755)
        fresh.replace(path)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror or error}.") from None
    return path


# What `dapr init --slim` writes, so that `dapr run` has a file to name.
CONFIGURATION = """\
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata:
  name: daprConfig
spec: {}
"""


def furnish(folder: Path) -> Iterator[Path]:
    """Make what `dapr run` takes for granted beside its `.dapr/bin`, and yield what was not there already.

    It checks that `components` exists, and names `config.yaml` to the sidecar unseen, which refuses a file that is
    not there, as Dapr's own does. Another folder than `.dapr/bin` is somebody else's, and stays as it is.

    Raises:
        click.ClickException: It cannot be written.
    """
    folder = folder.absolute()
    home = folder.parent
    if (home.name, folder.name) != (".dapr", "bin"):
        return
    components, configuration = home / "components", home / "config.yaml"
    try:
        if not components.exists():
            components.mkdir()
            yield components
        if not configuration.exists():
            configuration.write_text(CONFIGURATION)
            yield configuration
    except OSError as error:
        raise click.ClickException(f"{error.filename} cannot be written: {error.strerror or error}.") from None


def script(python: str) -> str:
    """Write the executable for an interpreter.

    A first line that is too long, or has a space, is cut by the kernel; then a
    shell starts Python, by a line that is a string to Python (pip's way).
    """
    first = f"#!{python}"
    if len(first) > SHEBANG_MAX or re.search(r"\s", python):
        first = f"#!/bin/sh\n'''exec' {shlex.quote(python)} \"$0\" \"$@\"\n' '''"
    return f"{first}\n{MARK}\nfrom perdure.cli.daprd import main\n\nmain()\n"


def main() -> None:
    """Run as an executable of its own."""
    daprd(prog_name=NAME)
