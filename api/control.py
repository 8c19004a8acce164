"""What the API layers ask of the daemon, beyond the facade."""

from collections.abc import Mapping
from typing import Protocol


class DaemonControl(Protocol):
    """The daemon, or the host of it that was asked, as HTTP and gRPC see it. Nothing here waits."""

    def ready(self) -> bool:
        """Say whether the engine takes work now: started, not stopping, its store at hand, the other hosts too."""
        ...

    def shutdown(self, force: bool) -> None:
        """Ask the whole daemon to stop and return at once; the answer to the caller is still to be sent.

        Args:
            force: Do not wait for activities that are running.
        """
        ...

    def connected_workers(self) -> int:
        """Count what can execute workflow code now: the hosted app (1 or 0, on however many hosts) and each worker."""
        ...

    def active_actors(self) -> Mapping[str, int]:
        """Count the activations of this host by type.

        The types `workflow`, `activity` and `retentioner` appear under the
        names that Dapr's own actors have; others as they are.
        """
        ...

    @property
    def runtime_version(self) -> str:
        """Perdure's version."""
        ...
