"""The first steps of a command: it handles signals, and opens missing standard streams.

The rule: the descriptors 0, 1 and 2 are never free later. Otherwise the store's file could get the number 2, and the
next message on standard error would be written into it. `cli/main.py` and `cli/daprd.py` begin with this module.
"""

import logging
import os
import signal
import sys
import traceback
from typing import Any

import click

from ..daemon.process.early_signals import EarlySignals, StopAsked

logger = logging.getLogger(__name__)


class FirstLine:
    """A mixin before a class of click's commands, whose `main` it wraps."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Ctrl-C ends it silently, with the exit code that a shell expects."""
        try:
            return super().invoke(ctx)  # type: ignore[misc]  # click's
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)

    def main(self, *positional: Any, **named: Any) -> Any:
        """Run the command, as click does."""
        with EarlySignals() as early:
            open_standard_streams()
            try:
                return super().main(*positional, obj=early, **named)  # type: ignore[misc]  # click's
            except StopAsked as stop:
                logger.info("stopped because of %s, before the daemon had begun", stop)
                sys.exit(0)
            except OSError as error:
                if not is_of_output(error):
                    raise
                click.echo(f"Error: the output cannot be written: {error.strerror}", err=True)
                sys.exit(1)


def is_of_output(error: OSError) -> bool:
    """Whether an error is click's because the output cannot be written: to a full disk, for example."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_code is click.echo.__code__


def open_standard_streams() -> None:
    """Open /dev/null for each standard stream that the process was started without."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            # The processes of hosts and activities need the streams too.
            os.set_inheritable(descriptor, True)
    # Python sets a missing stream to None.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  open as long as the process runs
