"""A daemon as a process of its own, to be measured, killed and started again."""

import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import anyio

from ..workloads import app as under_test
from .in_process import EngineSetup
from .measure import Usage, usage_of_trees
from .processes import ProcessEnded, clean_environment, kill_tree, ready_line, run_command, started

PATIENCE_S = 60.0  # for a start or a stop
APP = f"{under_test.__name__}:app"


class Daemon(NamedTuple):
    """`perdure run` with the app under test."""

    process: subprocess.Popen[str]
    host: str
    port: int

    @property
    def pid(self) -> int:
        return self.process.pid

    def crash(self) -> None:
        """kill -9; it is gone when this returns."""
        self.process.kill()
        self.process.wait()

    def usage(self) -> Usage:
        """Of all its processes together."""
        return usage_of_trees([self.pid])


@asynccontextmanager
async def serving(
    setup: EngineSetup, variables: Mapping[str, str] | None = None, options: Sequence[str] = ()
) -> AsyncIterator[Daemon]:
    """Run a daemon, and stop it in order if the block ends in order and it still runs; nothing of it is left.

    Args:
        variables: Added to its environment.
        options: Added to its command line.

    Raises:
        ProcessEnded: It did not get ready, or did not stop in order; its standard error is shown above.
    """
    environment = clean_environment() | dict(variables or {})
    with started([*run_command(setup, APP), *options], setup.folder, env=environment) as process:
        try:
            with anyio.fail_after(PATIENCE_S):
                ready = await anyio.to_thread.run_sync(ready_line, process, abandon_on_cancel=True)
            yield Daemon(process, ready["host"], int(ready["port"]))
            if process.returncode is None:
                await stop(process)
        finally:
            kill_tree(process.pid)


async def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        await anyio.to_thread.run_sync(process.wait, PATIENCE_S)
    if process.returncode != 0:
        raise ProcessEnded(f"the daemon ended with {process.returncode}, not 0")
