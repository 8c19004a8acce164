"""`perdure daprd`: Perdure as a sidecar, with daprd's command line and name.

The rule: SDKs, Dapr's command line and its run files start it and find it like daprd, without a change. The flags are
in `cli/daprd_flags.py`, the executable in `cli/daprd_install.py`.

Source for how Dapr's command line finds a sidecar: dapr/cli `pkg/standalone/list.go`.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..actors.release import own_release
from ..daemon.config import Config
from ..daemon.process.early_signals import EarlySignals
from .config import build_config
from .daprd_flags import DAPRD_FLAGS, DAPRD_OPTIONS, IGNORED, Daprd, options_by_variable
from .daprd_install import NAME, install_into, write_dapr_home

if TYPE_CHECKING:
    from .dapr_config import DaprConfig, Resources

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedCommand:
    """A command line of daprd, parsed and checked."""

    config: Config
    notes: tuple[str, ...]  # lines for the log: flags, addresses and resources without a meaning in Perdure


def build_daprd_config(
    *, ignored: Sequence[str], addresses: tuple[str, ...], app_id: str | None, data: str | None, **values: Any
) -> ParsedCommand:
    """Make the configuration from the parsed options.

    Args:
        ignored: The flags and words without a meaning in Perdure, for the log.
        addresses: The addresses to listen on; only the first is used.
        app_id: The id of the app, which daprd requires.
        data: The path of the store; None: a path named after the app.
        values: The other options by name.

    Raises:
        click.UsageError: A value is missing, or two values contradict each other.
        DaprFileError: A file of Dapr cannot be used.
    """
    from ..runtime.state.stores import StateStores  # noqa: PLC0415  --help and --version need no engine and no YAML
    from .dapr_config import read_config, read_resources  # noqa: PLC0415  as above
    from .tracing.dapr import with_variables  # noqa: PLC0415  as above

    if app_id is None:
        raise click.UsageError("--app-id is missing. daprd needs one too.")
    if not values.pop("enable_metrics"):
        values["metrics_port"] = 0
    old_path = values.pop("components_path")
    trace_turns = bool(values.get("trace_turns"))
    dapr = read_config(_split(values.pop("config_paths")))
    resources = read_resources(
        (*_split(values.pop("resources_paths")), *([old_path] if old_path else [])), app_id=app_id
    )
    config = build_config(
        target=None,
        flags=DAPRD_FLAGS,
        host=addresses[0],
        app_id=app_id,
        data=data or f"./perdure-{app_id}.db",
        metrics_open=True,
        log_format="json" if values.pop("log_as_json") else "text",
        **values,
    )
    stores = StateStores(resources.stores) if resources.stores else StateStores()
    limits = replace(
        config.limits,
        dispatch=dapr.limit(config.limits.dispatch),
        state_stores=stores,
        namespace=os.environ.get("NAMESPACE", ""),
    )
    notes = tuple(_notes(ignored, addresses, dapr, resources))
    tracing = with_variables(dapr.tracing, os.environ)
    if tracing is not None:
        tracing = replace(tracing, turns=trace_turns)
    config = replace(config, limits=limits, retention=dapr.retention, tracing=tracing)
    return ParsedCommand(config=config, notes=notes)


def _split(paths: Sequence[str]) -> list[str]:
    """Split paths that are separated by commas, as daprd does."""
    return [path for group in paths for path in group.split(",") if path]


def _notes(
    ignored: Sequence[str], addresses: Sequence[str], dapr: "DaprConfig", resources: "Resources"
) -> Iterator[str]:
    if ignored:
        yield f"flags of daprd without a meaning here, ignored: {', '.join(ignored)}"
    if addresses[1:]:
        yield f"listening on {addresses[0]} only, not on {', '.join(addresses[1:])}"
    if dapr.ignored:
        yield f"configuration without a meaning here, ignored: {', '.join(dapr.ignored)}"
    if resources.ignored:
        yield f"resources without a meaning here, ignored: {', '.join(resources.ignored)}"
    if resources.stores:
        names = ", ".join(f"{store.name} ({store.kind})" for store in resources.stores)
        yield f"state stores, all kept in Perdure's own store; their types and addresses have no meaning here: {names}"


@click.command(NAME, cls=Daprd, params=[*DAPRD_OPTIONS, *options_by_variable()])
@click.pass_context
def daprd(ctx: click.Context, /, *, install: str | None, version: bool, build_info: bool, **values: Any) -> None:
    """Stand in for Dapr's sidecar.

    Takes daprd's flags. Flags of daprd that are not listed below are ignored, with one line in the log. Variables of
    `perdure run` set the options that daprd does not have: PERDURE_DATA (by default ./perdure-ID.db),
    PERDURE_DURABILITY and so on.
    """
    if install is not None:
        folder = Path(install)
        for path in (install_into(folder), *write_dapr_home(folder)):
            click.echo(f"Wrote {path}.")
        return
    if version or build_info:
        click.echo(f"Perdure {own_release()}, in the place of daprd" if build_info else own_release())
        return
    from ..actors.errors import PerdureError  # noqa: PLC0415  an error of a flag needs neither engine nor servers

    try:
        parsed = build_daprd_config(ignored=ctx.meta[IGNORED], **values)
    except PerdureError as error:
        raise click.ClickException(str(error)) from None
    from ..daemon.hints import explain  # noqa: PLC0415  as above
    from ..daemon.logs import configure_logging  # noqa: PLC0415  as above
    from ..daemon.serve import check_named, no_thread_is_waited_for  # noqa: PLC0415  as above
    from .run import tell_and_code  # noqa: PLC0415  as above

    take_name()
    configure_logging(parsed.config.log_level, parsed.config.log_format)
    for note in parsed.notes:
        logger.info("%s", note)
    with no_thread_is_waited_for(tell_and_code):
        try:
            check_named(parsed.config)
            from ..daemon.daemon import run as run_daemon  # noqa: PLC0415  as above

            if (early := ctx.find_object(EarlySignals)) is not None:
                early.hold()
            run_daemon(parsed.config, None, announce)
        except PerdureError as error:
            raise click.ClickException(explain(error, parsed.config.flags)) from None


def announce(line: str) -> None:
    """Print a line to standard output and flush it, for the program that waits for it."""
    print(line, flush=True)


def take_name(comm: Path = Path("/proc/self/comm")) -> None:
    """Name this process daprd in the system's list of processes, if the system allows it.

    On Linux a script named daprd has the name already, but not a script that starts Python through a shell, and not
    `perdure daprd` itself.

    Args:
        comm: The file that has the name of this process, on Linux.
    """
    try:
        comm.write_text(NAME)
    except OSError:
        logger.debug("this system does not let a process choose its name")


def main() -> None:
    """Run `perdure daprd` as an executable named daprd. The scripts of `perdure daprd --install` import it."""
    daprd(prog_name=NAME)
