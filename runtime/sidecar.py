"""What the sidecar says of itself, over HTTP and gRPC alike: its actors, and the metadata that was put.

Source: contract 1.7; dapr `pkg/api/universal/metadata.go`.
"""

from .control import Control
from .words import METADATA_FULL, Refusal

# The actors that Dapr registers for an app with workflows, in the only namespace that a daemon
# outside of Kubernetes has. Dapr's integration harness waits until it sees three.
INTERNAL_TYPES = ("workflow", "activity", "retentioner")
NAMESPACE = "default"

PLACEMENT = "placement: connected"

# `dapr run` puts seven short entries. They stay in memory for as long as the daemon runs.
METADATA_BYTES_MAX = 1024 * 1024


class Sidecar:
    """The daemon in Dapr's terms. One for each daemon, because what was put over one API is seen over the other."""

    def __init__(self, control: Control, *, app_id: str) -> None:
        self.control = control
        self.app_id = app_id
        self._put: dict[str, str] = {}

    def put(self, key: str, value: str) -> None:
        """Keep an entry of metadata.

        Raises:
            Refusal: There would be too much of it.
        """
        found = sum(len(text.encode()) for entry in {**self._put, key: value}.items() for text in entry)
        if found > METADATA_BYTES_MAX:
            raise Refusal(METADATA_FULL, bytes_max=METADATA_BYTES_MAX, found=found)
        self._put[key] = value

    def extended(self) -> dict[str, str]:
        """All metadata: what was put, and the version of the runtime."""
        return {**self._put, "daprRuntimeVersion": self.control.runtime_version}

    def active_actors(self) -> dict[str, int]:
        """Count the activations by the type names that Dapr has for them.

        Its internal types exist from the moment that a worker can serve them,
        also while no actor of theirs is in memory.
        """
        counts = dict(self.control.active_actors())
        internal = {kind: counts.pop(kind, 0) for kind in INTERNAL_TYPES}
        if self.control.connected_workers():
            counts.update(
                {f"dapr.internal.{NAMESPACE}.{self.app_id}.{kind}": count for kind, count in internal.items()}
            )
        return counts
