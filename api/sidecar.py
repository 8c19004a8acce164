"""The daemon in Dapr's terms, for HTTP and gRPC alike: its metadata, its actors, and the entries that callers put.

The rule: every host answers for the whole daemon.

`http/dapr/sidecar.py` and `rpc/services/dapr.py` encode the `Metadata` that a
`Sidecar` collects.

Source: contract 1.7; dapr `pkg/api/universal/metadata.go`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ..actors.cluster.method import HostMethod
from ..runtime.state.state import States
from .control import DaemonControl
from .words import METADATA_FULL, Refusal

# The actor types that Dapr registers for an app with workflows, in the only namespace outside of Kubernetes. Dapr's
# integration harness waits until it sees three.
INTERNAL_TYPES = ("workflow", "activity", "retentioner")
NAMESPACE = "default"

PLACEMENT = "placement: connected"

# `dapr run` puts seven short entries. Entries stay in memory for as long as the daemon runs.
METADATA_BYTES_MAX = 1024 * 1024


class OtherHosts(Protocol):
    """The other hosts of a daemon."""

    @property
    def connected(self) -> bool:
        """Whether every other host can be reached."""
        ...

    def answer(self, method: HostMethod, function: Callable[..., Any]) -> None:
        """Register a plain function that the other hosts can call under this name."""
        ...

    async def ask_reachable(self, method: HostMethod, *arguments: Any) -> list[Any]:
        """Call a method on each host that can be reached, and return the answers."""
        ...


class HostDescription(NamedTuple):
    """One host's part of the metadata. Hosts send it to each other."""

    active_actors: dict[str, int]  # activations by type
    extended: dict[str, str]  # the entries that callers have put


# The methods that hosts call on each other.
DESCRIBE = HostMethod("sidecar.describe", (), HostDescription)
KEEP = HostMethod("sidecar.keep", (str, str), None)


class Component(NamedTuple):
    """A component in Dapr's sense: a service that an app can use."""

    name: str
    type: str
    version: str
    capabilities: Sequence[str]


CAPABILITIES = ("ETAG", "TRANSACTIONAL", "TTL")  # of state stores


def components_of(states: States | None) -> Sequence[Component]:
    """Return the state stores as components."""
    stores = states.stores if states is not None else ()
    return [Component(store.name, store.kind, store.version, CAPABILITIES) for store in stores]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The metadata of a daemon, which HTTP and gRPC encode in different ways."""

    app_id: str
    runtime_version: str
    active_actors: dict[str, int]  # activations by type, of all hosts that can be reached
    extended: dict[str, str]  # the entries that callers have put, and the version
    host_ready: bool
    placement: str
    connected_workers: int  # the hosted app, and the remote workers
    components: Sequence[Component] = ()


def by_types_of_dapr(active_actors: Mapping[str, int], app_id: str, *, served: bool) -> dict[str, int]:
    """Count activations of an app by the type names that Dapr has for them.

    Args:
        active_actors: How many actors of each type are in memory.
        served: Whether the app, or a worker of it, can execute workflows. Only then Dapr's internal types are counted,
            with 0 while no actor of the type is in memory.
    """
    counts = dict(active_actors)
    internal = {kind: counts.pop(kind, 0) for kind in INTERNAL_TYPES}
    if served:
        counts.update({f"dapr.internal.{NAMESPACE}.{app_id}.{kind}": count for kind, count in internal.items()})
    return counts


class Sidecar:
    """The daemon in Dapr's terms. HTTP and gRPC share a sidecar, so that both show the entries put over either.

    Args:
        peers: The other hosts of the daemon, which have their own sidecars; None if there is one host.
        states: The state stores of the app; None: the app has none.
    """

    def __init__(
        self,
        control: DaemonControl,
        *,
        app_id: str,
        peers: OtherHosts | None = None,
        states: States | None = None,
    ) -> None:
        self.control = control
        self.states = states
        self.app_id = app_id
        self._put: dict[str, str] = {}
        self._peers = peers
        if peers is not None:
            peers.answer(DESCRIBE, self._describe_host)
            peers.answer(KEEP, self._put.__setitem__)

    async def put(self, key: str, value: str) -> None:
        """Store an entry of metadata on this host and on every other host that can be reached.

        A restarted host has no entries, and needs none, because `describe` asks all hosts.

        Raises:
            Refusal: With this entry the metadata would have more than METADATA_BYTES_MAX bytes.
        """
        found = sum(len(text.encode()) for entry in {**self._put, key: value}.items() for text in entry)
        if found > METADATA_BYTES_MAX:
            raise Refusal(METADATA_FULL, bytes_max=METADATA_BYTES_MAX, found=found)
        if self._peers is not None:
            await self._peers.ask_reachable(KEEP, key, value)
        self._put[key] = value

    async def describe(self) -> Metadata:
        """Collect the metadata of all hosts that can be reached.

        A restarted host has lost the entries; the other hosts still have them.
        """
        others = await self._peers.ask_reachable(DESCRIBE) if self._peers is not None else []
        actors = Counter[str]()
        extended: dict[str, str] = {}
        for each in (*others, self._describe_host()):
            actors.update(each.active_actors)
            extended.update(each.extended)
        return Metadata(
            app_id=self.app_id,
            runtime_version=self.control.runtime_version,
            active_actors=dict(actors),
            extended={**extended, "daprRuntimeVersion": self.control.runtime_version},
            host_ready=self.control.ready(),
            placement=PLACEMENT,
            connected_workers=self.control.connected_workers(),
            components=components_of(self.states),
        )

    def active_actors(self) -> dict[str, int]:
        """Count the activations of this host by Dapr's names for the types; see `by_types_of_dapr`."""
        served = self.control.connected_workers() > 0
        return by_types_of_dapr(self.control.active_actors(), self.app_id, served=served)

    def _describe_host(self) -> HostDescription:
        return HostDescription(self.active_actors(), dict(self._put))
