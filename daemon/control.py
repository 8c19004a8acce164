"""The daemon's interface for HTTP and gRPC besides workflows: readiness, workers, actors, version, shutdown.

The rule: every answer is in memory, so no method waits. `daemon/daemon.py` makes one `Control` for both servers.
"""

import logging
from collections.abc import Mapping
from typing import Protocol

from ..actors.release import own_release
from ..api.sidecar import OtherHosts
from ..runtime.engine import Engine
from ..runtime.hosted_app import HostedApp
from .stopping import Stopping

logger = logging.getLogger(__name__)


class ShutDown(Protocol):
    """Begins to stop all hosts of the daemon."""

    def __call__(self, *, force: bool) -> None: ...


class Control:
    """The control of a daemon, or of one of its hosts. `api/control.py` describes each method.

    Args:
        hosted: The app that the answers are about.
        stopping: Whether this process was told to stop.
        shut_down: Called by a request to shut down.
        parts: The other processes of a daemon whose processes each own a part of the store; None: there are no others.
    """

    def __init__(
        self,
        engine: Engine,
        hosted: HostedApp,
        stopping: Stopping,
        shut_down: ShutDown,
        *,
        parts: OtherHosts | None = None,
    ) -> None:
        self._engine = engine
        self._hosted = hosted
        self._stopping = stopping
        self._shut_down = shut_down
        self._parts = parts

    def of(self, hosted: HostedApp) -> "Control":
        """Return the control of the same daemon for the clients of another of its apps."""
        return Control(self._engine, hosted, self._stopping, self._shut_down, parts=self._parts)

    def ready(self) -> bool:
        return self.unready() is None

    def unready(self) -> str | None:
        if self._stopping.told.is_set():
            return "it is stopping"
        if not self._stopping.started:
            return "it is starting"
        if not self._engine.ready:
            return "its store takes no writes"
        if self._parts is not None and not self._parts.connected:
            return "it does not reach every other process of the daemon"
        return None

    def shutdown(self, force: bool) -> None:
        logger.info("stopping because of a request to /v1.0/shutdown%s", ", forced" if force else "")
        self._shut_down(force=force)

    def connected_workers(self) -> int:
        return self._hosted.connected_workers()

    def active_actors(self) -> Mapping[str, int]:
        return self._hosted.active_actors(alone=len(self._engine.apps) == 1)

    @property
    def runtime_version(self) -> str:
        return own_release()
