"""A program for tests: a supervisor whose hosts have no engine, and end in a given way.

    python small_hosts.py host [host]

Each host is one of the functions below.
"""

import contextlib
import logging
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from multiprocessing import current_process

from perdure.actors.errors import PerdureError
from perdure.daemon.config import Config
from perdure.daemon.hosts.processes import supervise
from perdure.daemon.hosts.signals import leave_signals_to_the_supervisor
from perdure.daemon.supervision import Failed, Member, Ready, ShutdownAsked
from perdure.runtime.settings import Settings


def say(member: Member, what: str) -> None:
    # In one piece: others write to the same pipe.
    os.write(sys.stderr.fileno(), f"{member.name} {what}\n".encode())


def steady(config: Config, member: Member) -> None:
    """Is ready, and stops on request."""
    mode = stat.filemode(os.stat(member.membership.directory).st_mode)
    say(
        member, f"pid {os.getpid()} ports {config.http_port} {config.grpc_port} in {member.membership.directory} {mode}"
    )
    member.say(Ready("ready"))
    with contextlib.suppress(EOFError, OSError):
        say(member, f"told {member.pipe.recv()}")
    say(member, "stops")


def deaf(config: Config, member: Member) -> None:
    """Is ready, and does not stop."""
    member.say(Ready("ready"))
    signal.alarm(60)  # so that it does not outlive a test that is cut off
    while True:
        signal.pause()


def polite(config: Config, member: Member) -> None:
    """Is ready, and requests the end of all hosts."""
    member.say(Ready("ready"))
    member.say(ShutdownAsked(force=True))
    say(member, f"told {member.pipe.recv()}")


def refuses(config: Config, member: Member) -> None:
    """Cannot start, and says why."""
    member.say(Failed("the moon is full."))
    sys.exit(1)


def breaks(config: Config, member: Member) -> None:
    """Ends silently before it is ready."""
    os._exit(7)


HOSTS: dict[str, Callable[[Config, Member], None]] = {
    each.__name__: each for each in (steady, deaf, polite, refuses, breaks)
}


def host(config: Config, member: Member) -> None:
    leave_signals_to_the_supervisor()
    # The parent's command line is this process's too.
    HOSTS[sys.argv[1 + member.membership.index]](config, member)
    if member.orphaned:
        shutil.rmtree(member.membership.directory, ignore_errors=True)


def main() -> None:
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    config = Config(
        target="nothing.py",
        host="127.0.0.1",
        http_port=0,
        grpc_port=0,
        data="none.db",
        durability="full",
        app_id=None,
        api_tokens=(),
        max_body_bytes=None,
        log_level="info",
        log_format="text",
        limits=Settings(),
        processes=len(sys.argv) - 1,
    )
    try:
        supervise(config, lambda line: print(line, flush=True), host)
    except PerdureError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    assert current_process().name == "MainProcess"
    main()
