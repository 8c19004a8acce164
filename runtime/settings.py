"""The limits of an engine, as one frozen value.

The rule: a setting is checked when it is made, and never changed.

Programs that embed an engine make one; the daemon makes it of its configuration.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from ..actors.instruments import SYSTEM, Instruments
from ..actors.peer_address import read_peer_address
from .authoring.limits import WorkflowLimits
from .directory import NO_APP_ID
from .operations.retention.policy import Retention
from .state.stores import StateStores
from .workers.limits import DispatchLimits

if TYPE_CHECKING:  # the daemon's configuration has settings, and no engine
    from ..actors.cluster.leases.shared import Share
    from .activities.workshop import Workshop
    from .authoring.app import App
    from .instance.surroundings import Propagate
    from .workers.items import ItemWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The choices that an engine has, with defaults for one service on one machine.

    Raises:
        ValueError: A limit is out of its range.
    """

    app_id: str | None = None  # by which apps know each other; None: the app's name
    activations_max: int = 10_000  # instances in memory; the others sleep in the store
    mailbox_messages_max: int = 10_000  # messages one instance may have waiting
    activities_max: int = 1_000  # `async def` activities under way at once
    activity_threads_max: int = 40  # plain-function activities at once; anyio's own default
    activity_processes_max: int = 2  # `executor="process"` activities at once
    stop_grace_s: float = 10.0  # how long running activities may take to finish on shutdown
    # Leave workflows and activities that the app does not have to remote workers, even before a worker has ever been
    # connected. Without an app, or once a worker has been connected to the store, they are left to workers in any case.
    wait_for_workers: bool = False
    limits: WorkflowLimits = field(default_factory=WorkflowLimits)  # on the requests of one instance
    dispatch: DispatchLimits = field(default_factory=DispatchLimits)  # how many jobs workers may have at once
    retention: Retention = field(default_factory=Retention)  # how long finished instances are kept; for ever
    state_stores: StateStores = field(default_factory=StateStores)  # those of the state API
    namespace: str = ""  # of state stores that prefix keys with one
    # Where other hosts on the same database reach this one: HOST or HOST:PORT. None: the address of this machine that
    # reaches the database, and any free port.
    peer_address: str | None = None
    always_replay: bool = False  # evict after each turn, so that every turn starts from the store

    def __post_init__(self) -> None:
        if self.app_id == "":
            raise ValueError("app_id must not be empty; None is the app's name")
        if self.peer_address is not None:
            try:
                read_peer_address(self.peer_address)
            except ValueError as error:
                raise ValueError(f"peer_address: {error}") from None
        for name in ("mailbox_messages_max", "activities_max", "activity_threads_max", "activity_processes_max"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.activations_max < 0:
            raise ValueError(f"activations_max must be at least 0, not {self.activations_max}")
        if self.stop_grace_s < 0:
            raise ValueError(f"stop_grace_s must be at least 0 seconds, not {self.stop_grace_s}")

    @property
    def slots(self) -> int:
        """How many activities may be under way at once, apart from those in processes."""
        return self.activities_max + self.activity_threads_max

    def app_id_for(self, app_name: str | None) -> str:
        """The app id of an engine.

        Args:
            app_name: The name of its app; None without an app.
        """
        return self.app_id or app_name or NO_APP_ID


@dataclass(frozen=True, slots=True)
class OtherApp:
    """An app that an engine has beside its first one."""

    app_id: str
    app: "App | None" = None  # its code; None: workers have it
    # Writes histories for remote workers that may see them.
    propagate: "Propagate" = field(default=lambda instance_id, events, scope, received: None, kw_only=True)
    # Writes work for the workers of other hosts; None: as for the first app.
    items: "ItemWriter | None" = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not self.app_id:
            raise ValueError("an app beside the first one needs an app_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The options for the start of an engine."""

    # Note the attempts under way in a file beside the store, so that an instance whose code ends this process is found
    # and set aside (docs/design/flight-record.md). Only for an engine with a file.
    flight_record: bool = False
    set_aside: tuple[str, ...] = ()  # ids of instances that are set aside before any work of theirs starts
    folder: str | None = None  # the working folder of worker processes; None: that of this process when it begins
    instruments: Instruments = SYSTEM  # its readings of the machine, beside the clock
    workshop: "Workshop | None" = None  # threads and processes of activities; those of the operating system
    items: "ItemWriter | None" = None  # writes work for the workers of other hosts; None: they are given none
    share: "Share | None" = None  # how it shares its store with other engines; None: the store is its own
    # A host that shares its store stops its beats when its event loop stands still for longer than this.
    stuck_after_s: float = inf
    others: Sequence[OtherApp] = ()  # the apps beside the first one
    dormant: bool = False  # recover nothing and fire no timer: only requests have effects
