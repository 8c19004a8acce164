"""The daemon's interface for HTTP and gRPC besides the facade: readiness, workers, actors, version, shutdown.

The rule: no method waits.

`daemon/` implements the protocol, and `api/sidecar.py` gives it to both APIs.
"""

from collections.abc import Mapping
from typing import Protocol


class DaemonControl(Protocol):
    """The daemon, or the host that got the request."""

    def ready(self) -> bool:
        """Return whether the daemon accepts work now.

        It does if it has started and is not stopping, its store accepts writes, and every other host can be reached.
        """
        ...

    def unready(self) -> str | None:
        """Return why load balancers should send no requests here now, in a few words; None if they may.

        While commits wait for an unreachable database, the database is no reason: all hosts would be taken out at once.
        """
        ...

    def shutdown(self, force: bool) -> None:
        """Order the whole daemon to stop, and return at once, so that the caller still gets an answer.

        Args:
            force: Do not wait for running activities.
        """
        ...

    def connected_workers(self) -> int:
        """Count the processes with workflow code: each worker, and the hosted app (1 or 0, on any number of hosts)."""
        ...

    def active_actors(self) -> Mapping[str, int]:
        """Count the activations of this host by type; `api/sidecar.py` gives the types Dapr's names."""
        ...

    @property
    def runtime_version(self) -> str:
        """Return the version of Perdure."""
        ...
