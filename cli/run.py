"""`perdure run`: read the flags, find the app, hand both to the daemon."""

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from .config import RUN_OPTIONS, Config, build_config

if TYPE_CHECKING:
    from .member import Member


@click.command(params=[click.Argument(["target"], required=False, metavar="[APP]"), *RUN_OPTIONS])
def run(**values: Any) -> None:
    """Host an app, or serve SDK workers.

    APP is FILE.py or a module's name, with :name behind it where there are several apps in it. Without APP the
    daemon runs no workflows itself.

    When it is ready it writes one line to standard output, with its addresses; all else goes to standard error.
    SIGTERM and SIGINT stop it: no new work is taken, running activities may finish, the exit code is 0. A second
    signal stops it at once.
    """
    config = build_config(**values)

    from ..actors.errors import PerdureError  # noqa: PLC0415  a wrong flag need not wait for the engine
    from .loader import ImportFailed  # noqa: PLC0415
    from .logs import configure_logging  # noqa: PLC0415

    configure_logging(config.log_level, config.log_format)
    out = sys.stdout

    def announce(line: str) -> None:
        print(line, file=out, flush=True)

    # Whoever waits for the ready line reads standard output, so an app's own print() goes to standard error.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            if config.processes > 1:
                from .processes import supervise  # noqa: PLC0415

                supervise(config, announce)
            else:
                serve_app(config, announce)
        except ImportFailed as error:
            click.echo(str(error), err=True)
            sys.exit(1)
        except PerdureError as error:
            raise click.ClickException(str(error)) from None
    leave_threads_behind()


def serve_app(config: Config, announce: Callable[[str], None], member: "Member | None" = None) -> None:
    """Find the app and serve it, in this process.

    Raises:
        ImportFailed: The app's own code raised.
        PerdureError: It could not start; the message says why.
    """
    from .daemon import run as run_daemon  # noqa: PLC0415  the engine and the servers, which a supervisor does without
    from .loader import load_app  # noqa: PLC0415

    app = load_app(config.target) if config.target is not None else None
    run_daemon(config, app, announce, member)


def leave_threads_behind() -> None:
    """End the process at once if the thread of an activity outlasted the grace.

    Python would wait for it, and nothing can stop it. The activity runs again after the next start, because its
    result was never recorded.
    """
    if any(thread is not threading.current_thread() and not thread.daemon for thread in threading.enumerate()):
        logging.shutdown()
        os._exit(0)
