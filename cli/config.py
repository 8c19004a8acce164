"""Makes a configuration from the parsed options of a command, and checks options that depend on each other.

The rule: a configuration that cannot work is refused here, before the daemon starts, with the names of the flags.
`cli/run.py` and `cli/daprd.py` call `build_config`.
"""

import ipaddress
import itertools
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ..actors.peer_address import PeerAddress, read_peer_address
from ..actors.store.postgres.url import is_url
from ..daemon.config import LIMITS, RUN_FLAGS, AppConfig, Config
from ..runtime.authoring.limits import LIMIT_NAMES as WORKFLOW_LIMIT_NAMES
from ..runtime.authoring.limits import WorkflowLimits
from ..runtime.operations.retention.policy import Retention
from ..runtime.settings import Settings
from ..runtime.workers.limits import DispatchLimits
from .parsing import PORT_MAX
from .tracing.variables import tracing_of_variables

# The options that have the names of settings of the engine.
LIMIT_NAMES = (
    "activations_max",
    "activities_max",
    "activity_processes_max",
    "activity_threads_max",
    "always_replay",
    "mailbox_messages_max",
    "peer_address",
    "stop_grace_s",
    "wait_for_workers",
)


def apps_of(
    *, targets: Sequence[str], app_ids: Sequence[str], grpc_ports: Sequence[int], **values: Any
) -> dict[str, Any]:
    """Combine the options of a daemon's apps: their code, their ids and their ports.

    Args:
        targets: The code of the apps. The ids belong to these in order; further ids are of apps whose code workers
            have.
        grpc_ports: The port of each app; or the port of the first app, and the others get the next ports.
        values: The other options by name.

    Returns:
        The values for `build_config`.

    Raises:
        click.UsageError: The options contradict each other; the message says why.
    """
    count = max(len(targets), len(app_ids), 1)
    if len(set(app_ids)) < len(app_ids):
        raise click.UsageError("the same --app-id is given twice; give each app once.")
    if len(grpc_ports) not in (1, count):
        raise click.UsageError(
            f"--grpc-port is given {len(grpc_ports)} times for {count} apps; give one for each app, or only the "
            "first one, and the others have the next ports."
        )
    first = grpc_ports[0]
    ports = grpc_ports if len(grpc_ports) == count else [first + number if first else 0 for number in range(count)]
    if ports[-1] > PORT_MAX:
        raise click.UsageError(f"--grpc-port {first} for {count} apps goes beyond {PORT_MAX}, the last port there is.")
    named = [*app_ids, *[None] * (count - len(app_ids))]
    code = [*targets, *[None] * (count - len(targets))]
    apps = [
        AppConfig(app_id=app_id, target=target, grpc_port=port)
        for app_id, target, port in zip(named, code, ports, strict=True)
    ]
    own = {"target": apps[0].target, "app_id": apps[0].app_id, "grpc_port": apps[0].grpc_port}
    return {**values, **own, "others": tuple(apps[1:])}


def build_config(
    *,
    api_tokens: tuple[str, ...] | None,
    allow_unauthenticated: bool,
    flags: Mapping[str, str] = RUN_FLAGS,
    **values: Any,
) -> Config:
    """Make the configuration from the parsed options, and check the options that depend on each other.

    Args:
        api_tokens: The tokens; None if there are none.
        allow_unauthenticated: Listen without a token, also on an address that other machines can reach.
        flags: The name of the flag for each value, for errors.
        values: The other options by name.

    Raises:
        click.UsageError: Two values contradict each other; the message says which.
    """
    dispatch = DispatchLimits(
        workflows_max=values.pop("max_concurrent_workflows"),
        activities_max=values.pop("max_concurrent_activities"),
        answer_timeout_s=values.pop("worker_answer_timeout_s", LIMITS.dispatch.answer_timeout_s) or None,
    )
    workflow_limits = WorkflowLimits(**{name: values.pop(name) for name in WORKFLOW_LIMIT_NAMES})
    limits = Settings(dispatch=dispatch, limits=workflow_limits, **{name: values.pop(name) for name in LIMIT_NAMES})
    retention = values.pop("retention", None) or Retention()
    values["tracing"] = tracing_of_variables(os.environ, turns=values.pop("trace_turns", False))
    config = Config(api_tokens=api_tokens or (), limits=limits, retention=retention, flags=flags, **values)
    for one, other in itertools.combinations(("http_port", "grpc_port", "metrics_port"), 2):
        port = getattr(config, one)
        if port == getattr(config, other) != 0:
            raise click.UsageError(f"{flags[one]} and {flags[other]} are both {port}; each needs its own port.")
    taken = {config.http_port: "http_port", config.metrics_port: "metrics_port", config.grpc_port: "grpc_port"}
    for other_app in config.others:
        if other_app.grpc_port and (name := taken.get(other_app.grpc_port)):
            raise click.UsageError(
                f"{flags['grpc_port']} {other_app.grpc_port}, of another app, is {flags[name]} too; each needs one of "
                "its own."
            )
        taken[other_app.grpc_port] = "grpc_port"
    if config.processes > 1:
        check_processes(config)
    if config.limits.peer_address is not None:
        check_peer_address(config, read_peer_address(config.limits.peer_address))
    if is_url(config.data) and config.durability != "full":
        raise click.UsageError(
            "--durability relaxed: on PostgreSQL each commit is flushed, because memory must not be ahead "
            "of what the server has after a crash. Leave it out."
        )
    if config.api_tokens and config.api_token_file:
        raise click.UsageError(
            "there are tokens in --api-token-file and in --api-token (or PERDURE_API_TOKEN, DAPR_API_TOKEN). "
            "Give all tokens in one place, so that a token that is removed there is refused."
        )
    if not (config.api_tokens or config.api_token_file or allow_unauthenticated or is_loopback(config.host)):
        raise click.UsageError(
            f"{flags['host']} {config.host} can be reached from other machines, and there is no token for "
            f"callers. {flags['unauthenticated']}"
        )
    return config


def check_peer_address(config: Config, peer: PeerAddress) -> None:
    """Check that the hosts need an address, and can have this one.

    Raises:
        click.UsageError: The hosts need none, or are too many for one port.
    """
    if not is_url(config.data):
        raise click.UsageError(
            f"{config.flags['peer_address']} {peer}: other hosts reach this one only where they share a PostgreSQL "
            f"database, and {config.flags['data']} is {config.data}. Leave one of them out."
        )
    if peer.port and config.processes > 1:
        raise click.UsageError(
            f"{config.flags['peer_address']} {peer}: {config.processes} processes cannot all have port {peer.port}. "
            f"Leave the port out: each takes a free one."
        )


def check_processes(config: Config) -> None:
    """Check that several processes can have this configuration.

    Raises:
        click.UsageError: They cannot; the message says why.
    """
    for refused, why in (
        (not hasattr(socket, "SO_REUSEPORT"), "processes cannot share a port on this system."),  # Windows
        (config.data == ":memory:", "each needs a file of its own, and --data :memory: has none."),
        (
            config.durability != "full",
            "each has a file of its own, and with --durability relaxed a power cut could leave them at different "
            "moments.",
        ),
    ):
        if refused:
            raise click.UsageError(f"--processes {config.processes}: {why} Start it with --processes 1.")
    if config.metrics_port:
        check_metrics_ports(config)


def check_metrics_ports(config: Config) -> None:
    """Check that each process can have a port for its metrics.

    Raises:
        click.UsageError: There are too few ports from `metrics_port` up, or another port is among them.
    """
    ports = range(config.metrics_port, config.metrics_port + config.processes)
    said = f"--metrics-port {ports[0]} with --processes {config.processes} is ports {ports[0]} to {ports[-1]}, one each"
    if ports[-1] > PORT_MAX:
        raise click.UsageError(f"{said}; the last port there is is {PORT_MAX}.")
    for name in ("http_port", "grpc_port"):
        if getattr(config, name) in ports:
            raise click.UsageError(f"{said}; {config.flags[name]} {getattr(config, name)} is among them.")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`. Every name but localhost counts as reachable from others."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
