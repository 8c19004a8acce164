"""A host of several: the main function of a process that a supervisor starts.

The rule: a host obeys its supervisor and not the signals, and stops in order when its supervisor has ended.
`daemon/supervision.py` has the messages between them; `daemon/hosts/host_processes.py` starts hosts.
"""

import shutil
import sys

from ...actors.errors import PerdureError
from ..config import Config
from ..hints import explain
from ..loader import ImportFailed
from ..logs import configure_logging, prints_to
from ..serve import no_thread_is_waited_for, serve_app
from ..supervision import Failed, Member, Ready
from .signals import leave_signals_to_the_supervisor


def main(config: Config, member: Member) -> None:
    """Run a host until it has stopped, and end the process.

    Raises:
        SystemExit: The host could not start, and has sent its supervisor the reason.
    """
    leave_signals_to_the_supervisor()
    handler = configure_logging(config.log_level, config.log_format, host=member.name)
    with no_thread_is_waited_for(), prints_to(handler):
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
