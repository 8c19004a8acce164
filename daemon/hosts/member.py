"""A host of several: a process that is started by a supervisor, and heeds it in place of the signals.

The one law: a host outlives its supervisor by no more than an ordered stop.
What the two say to each other goes through a pipe, and its end is a word too.
"""

import contextlib
import shutil
import sys

from ..config import Config
from ..supervision import Failed, Member, Ready
from .signals import leave_signals_to_the_supervisor


def main(config: Config, member: Member) -> None:
    """Be a host, from the first line of a process to its last."""
    leave_signals_to_the_supervisor()

    # The engine and the server, which the supervisor imports this module without.
    from ...actors.errors import PerdureError  # noqa: PLC0415
    from ..hints import explain  # noqa: PLC0415
    from ..loader import ImportFailed  # noqa: PLC0415
    from ..logs import configure_logging  # noqa: PLC0415
    from ..serve import leave_threads_behind, serve_app  # noqa: PLC0415

    configure_logging(config.log_level, config.log_format, host=member.name)
    with contextlib.redirect_stdout(sys.stderr):
        try:
            serve_app(config, lambda line: member.say(Ready(line)), member)
        except ImportFailed as error:
            member.say(Failed(str(error), is_traceback=True))
            sys.exit(1)
        except PerdureError as error:
            member.say(Failed(explain(error, config.flags)))
            sys.exit(1)
    if member.orphaned:
        shutil.rmtree(member.membership.directory, ignore_errors=True)
    leave_threads_behind()
