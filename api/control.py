"""The daemon as HTTP and gRPC see it, beside the facade: whether it is ready, what runs in it, and how to stop it.

The rule: no method waits.

`daemon/` fulfils the protocol, and `api/sidecar.py` holds it for both doors.
"""

from collections.abc import Mapping
from typing import Protocol


class DaemonControl(Protocol):
    """The daemon, or the host of it that got the request."""

    def ready(self) -> bool:
        """Return whether the daemon takes work now.

        It does if it has started and is not stopping, its store takes writes, and every other host can be reached.
        """
        ...

    def unready(self) -> str | None:
        """Say why a balancer is to send no requests here now, in a few words; None: it may.

        A database that is away is no reason, as long as commits wait for it: all hosts would be taken out at once.
        """
        ...

    def shutdown(self, force: bool) -> None:
        """Ask the whole daemon to stop, and return at once, so that the caller still gets an answer.

        Args:
            force: Do not wait for running activities.
        """
        ...

    def connected_workers(self) -> int:
        """Count what runs workflow code: the hosted app (1 or 0, on however many hosts) and each worker."""
        ...

    def active_actors(self) -> Mapping[str, int]:
        """Count the activations of this host by type; `api/sidecar.py` gives the types Dapr's names."""
        ...

    @property
    def runtime_version(self) -> str:
        """Perdure's version."""
        ...
