"""`perdure run`: parses the flags, and runs the daemon in this process or in several.

The rule: standard output has only the ready line; an error is one sentence on standard error, or the traceback of the
app's own code.
"""

import logging
import sys
from typing import Any

import click
from click.core import ParameterSource

from ..actors.errors import PerdureError
from ..daemon.hints import explain
from ..daemon.loader import ImportFailed
from ..daemon.logs import configure_logging, prints_to
from ..daemon.process.early_signals import EarlySignals
from ..daemon.serve import check_named, exit_code_of, no_thread_is_waited_for, serve_app
from .config import apps_of, build_config
from .run_flags import RUN_OPTIONS

logger = logging.getLogger(__name__)


@click.command(params=[click.Argument(["targets"], nargs=-1, required=False, metavar="[APP]..."), *RUN_OPTIONS])
@click.pass_context
def run(ctx: click.Context, /, **values: Any) -> None:
    """Host apps, or serve SDK workers.

    APP is FILE.py or a module's name, followed by :name if it contains several apps. Without APP the daemon runs no
    workflows itself. Apps on one daemon may call each other's activities and workflows.

    When the daemon is ready it writes one line with its addresses to standard output; all other lines go to standard
    error. SIGTERM and SIGINT stop it: it takes no new work, running activities may finish, the exit code is 0. A
    second signal stops it at once.
    """
    config = build_config(**apps_of(**values))
    handler = configure_logging(config.log_level, config.log_format)
    early = ctx.find_object(EarlySignals)
    if ctx.get_parameter_source("api_tokens") is ParameterSource.COMMANDLINE:
        logger.warning(
            "every user of this machine can read the token of --api-token in the list of processes: "
            "set PERDURE_API_TOKEN instead, or give a file with --api-token-file"
        )
    out = sys.stdout

    def announce(line: str) -> None:
        try:
            print(line, file=out, flush=True)
        except OSError as error:  # a full disk, or a pipe without a reader
            logger.warning("standard output does not take the ready line (%s): %s", error.strerror, line)

    with no_thread_is_waited_for(tell_and_code), prints_to(handler):
        try:
            check_named(config)
            if config.processes > 1:
                from ..daemon.hosts.processes import supervise  # noqa: PLC0415  a single host has no supervisor

                if early is not None:
                    early.hold()
                supervise(config, announce)
            else:
                serve_app(config, announce, early=early)
        except ImportFailed as error:
            click.echo(str(error), err=True)
            sys.exit(1)
        except PerdureError as error:
            raise click.ClickException(explain(error, config.flags)) from None


def tell_and_code(error: BaseException) -> int:
    """Report an error of a command as click does, and return its exit code."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    return exit_code_of(error)
