"""The flags of daprd: all their names, the flags that have a meaning in Perdure, and their parsers.

The rule: every flag of daprd is accepted. Flags without a meaning in Perdure are ignored, with one line in the log. A
flag that daprd does not have is an error. `cli/daprd.py` makes the configuration from the flags.

Source: dapr `cmd/daprd/options/options.go`, `pkg/metrics/options.go`; dapr/kit `logger/options.go`.
"""

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from ..daemon.config import RUN_FLAGS
from .first_line import FirstLine
from .parsing import parse_app_id, parse_host, parse_port, parse_size
from .run_flags import RUN_OPTIONS, Setting, checked

# Flags of daprd that need no value; `--flag=false` switches a flag off.
SWITCHES = frozenset({
    "app-ssl", "build-info", "disable-builtin-k8s-secret-store", "enable-api-logging", "enable-app-health-check",
    "enable-metrics", "enable-mtls", "enable-profiling", "help", "log-as-json", "version", "wait",
})  # fmt: skip

# Flags of daprd that take a value.
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

# Flags that cannot be ignored, because the sidecar would not do what the user wants. Each function takes the value, and
# returns the reason to refuse it, or None.
REFUSED: dict[str, Callable[[str], str | None]] = {
    "mode": lambda value: None if value == "standalone" else "Perdure runs on one machine: --mode standalone only.",
    "unix-domain-socket": lambda value: "Perdure listens on ports only, not on sockets in a folder." if value else None,
    "wait": lambda value: "waiting for a sidecar is not supported." if value == "true" else None,
}


def parse_arguments(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Parse a command line as daprd does: `--flag value`, `--flag=value`, or either with one dash.

    Yields:
        The name of a flag without its dashes, and its value ("true" for a switch without a value). For a word that is
        no flag, which daprd ignores, an empty name and the word.

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
            raise click.NoSuchOption(f"--{name}", unknown(name))
        if not equals:
            following = "true" if name in SWITCHES else next(rest, None)
            if following is None:
                raise click.UsageError(f"--{name} needs a value.")
            value = following
        yield name, value


def unknown(name: str) -> str:
    """Say that daprd has no such flag, and which variable does what a flag of `perdure run` does."""
    variables = [option.variables[0] for option in by_variable() if option.opts[0] == f"--{name}"]
    instead = f" Set the variable {variables[0]}." if variables else ""
    return f"daprd has no flag --{name}, and neither has perdure daprd.{instead}"


class Daprd(FirstLine, click.Command):
    """A command with daprd's command line: click parses the flags with a meaning, and `IGNORED` lists the others."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the flags with a meaning, and note the ignored ones.

        Raises:
            UsageError: daprd has no such flag, or a value is refused.
        """
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


IGNORED = f"{__name__}.ignored"  # the key in the `meta` of the context


class Flag(click.Option):
    """A flag of daprd with a meaning in Perdure. As in daprd, no environment variable sets it."""

    def __init__(self, flag: str, *names: str, parse: Callable[[str], Any] | None = None, **rest: Any) -> None:
        if parse is not None:
            rest |= {"type": str, "callback": checked(parse)}
        super().__init__([flag, *names], show_default=True, **rest)


def parse_truth(text: str) -> bool:
    """Parse a truth value as Go does.

    Raises:
        ValueError: It is no truth value.
    """
    if text not in TRUTHS:
        raise ValueError(f"{text!r} is neither true nor false.")
    return TRUTHS[text]


TRUTHS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


LEVELS = {"debug": "debug", "info": "info", "warn": "warning", "error": "error", "fatal": "error"}


def parse_level(text: str) -> str:
    """Parse Dapr's name of a log level, and return ours.

    Raises:
        ValueError: It is no level of Dapr.
    """
    level = LEVELS.get(text.lower())
    if level is None:
        raise ValueError(f"{text!r} is not one of {', '.join(LEVELS)}.")
    return level


def parse_body_size(text: str) -> int | None:
    """Parse a size in bytes; as in daprd, -1 means the default, for which None is returned."""
    return None if text == "-1" else parse_size(text)


def parse_addresses(text: str) -> tuple[str, ...]:
    """Parse addresses that are separated by commas."""
    addresses = tuple(part.strip().removeprefix("[").removesuffix("]") for part in text.split(","))
    return tuple(parse_host(address) for address in addresses)


GRACE_S_DEFAULT = 5.0


def parse_grace(text: str) -> float:
    """Parse whole seconds; as in daprd, a negative number means the default.

    Raises:
        ValueError: It is no whole number.
    """
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise ValueError(f"{text!r} is not a whole number of seconds.")
    return float(text) if int(text) >= 0 else GRACE_S_DEFAULT


DAPRD_OPTIONS = (
    Flag("--app-id", parse=parse_app_id, metavar="ID", help="The id of the app and of its sidecar. Required."),
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
        help="Addresses, of which the first is listened on. An address that other machines can reach needs a token.",
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
        help="A Configuration, of which spec.workflow and spec.tracing are used; may be repeated.",
    ),
    Flag(
        "--resources-path",
        "resources_paths",
        multiple=True,
        metavar="FOLDER",
        help="A folder of resources, of which only state stores are used; may be repeated.",
    ),
    Flag("--components-path", metavar="FOLDER", help="The old name of --resources-path."),
    Flag(
        "--dapr-graceful-shutdown-seconds",
        "stop_grace_s",
        parse=parse_grace,
        metavar="SECONDS",
        default=f"{GRACE_S_DEFAULT:.0f}",
        help="How long running requests may still take when the sidecar is stopped.",
    ),
    Flag(
        "--log-level",
        parse=parse_level,
        metavar="LEVEL",
        default="info",
        help=f"The least severe messages to log: {', '.join(LEVELS)}.",
    ),
    Flag("--log-as-json", parse=parse_truth, metavar="TRUTH", default="false", help="Log one JSON object a line."),
    Flag("--version", parse=parse_truth, metavar="TRUTH", default="false", help="Print Perdure's version."),
    Flag(
        "--build-info",
        parse=parse_truth,
        metavar="TRUTH",
        default="false",
        help="Print Perdure's version in a sentence.",
    ),
    Flag(
        "--install",
        metavar="FOLDER",
        help="Only write an executable named daprd, and the files that Dapr's command line needs, to this folder.",
    ),
)


# Options of `perdure run` that are flags of daprd too.
HAVE_FLAGS = {
    "app_ids",
    "grpc_ports",
    "host",
    "http_port",
    "log_format",
    "log_level",
    "max_body_bytes",
    "metrics_open",  # always open, as in Dapr
    "metrics_port",
    "stop_grace_s",
}

NOT_HERE = {"processes"}  # a sidecar is one process, as in Dapr


def by_variable() -> Iterator[Setting]:
    """The other options of `perdure run`, which are set by their variables: PERDURE_DATA and so on."""
    return (option for option in RUN_OPTIONS if option.name not in HAVE_FLAGS | NOT_HERE)


def options_by_variable() -> Iterator[click.Option]:
    """The same, hidden: daprd has no flags for them."""
    for option in by_variable():
        hidden = copy.copy(option)
        hidden.hidden = True
        if option.name == "data":
            hidden.default = None  # each app id has its own file
        yield hidden


# The name of the flag for each value of the configuration, for errors.
DAPRD_FLAGS = RUN_FLAGS | {
    "http_port": "--dapr-http-port",
    "grpc_port": "--dapr-grpc-port",
    "metrics_port": "--metrics-port",
    "host": "--dapr-listen-addresses",
    "peer_address": "the variable PERDURE_PEER_ADDRESS",
    "unauthenticated": "Set the variable DAPR_API_TOKEN, or PERDURE_ALLOW_UNAUTHENTICATED=true.",
}
