"""The directory of apps: the addresses of each app's actors, and of the routes for their messages.

The rule: the actors of a store's first app have the types below. The actors of any other app have these types with the
app's id behind them (`actors/address.py`). The store names its first app when it is opened; until then the engine's
first app counts as it.

`runtime/engine.py` has one directory, which gives each of its apps its addresses.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from ..actors.address import FIRST_RING, Address, address_of, ring_of, type_in
from ..actors.store.presence.apps import ring_named

WORKFLOW = "workflow"  # these reach the disk and must not change
CALL = "call"  # an activity requested by an instance of another app
OPERATION = "operation"  # a bulk operation
WORKER_MARK = "worker-mark"
STATE = "state"  # state stores
STATE_EXPIRY = "state-expiry"  # the loop that forgets expired values
ACTIVITY = "activity"
CHILD_START = "child-start"
EVENT_SEND = "event-send"
WORK = "work"
ENDED = "ended"
SPANS = "spans"
WITHDRAW = "withdraw"
OPERATION_RUN = "operation-run"  # the address of the runner
CODE = "code"  # instances that wait for code which other hosts have

NO_APP_ID = "perdure"  # the app id of an engine without an app


class AppAddresses:
    """The addresses of one app. Its fields are the types of its actors, and of the routes for their messages.

    Args:
        directory: The addresses of the other apps.
    """

    __slots__ = (
        "_directory",
        "activity",
        "app_id",
        "call",
        "child_start",
        "code",
        "ended",
        "event_send",
        "operation",
        "operation_run",
        "ring",
        "spans",
        "state",
        "state_expiry",
        "withdraw",
        "work",
        "worker_mark",
        "workflow",
    )

    def __init__(
        self, app_id: str = NO_APP_ID, ring: str = FIRST_RING, *, directory: "AppDirectory | None" = None
    ) -> None:
        self.app_id = app_id
        self._directory = directory or AppDirectory(app_id)
        self.settle(ring)

    def settle(self, ring: str) -> None:
        """Use this ring from now on. It does not change after the store is open."""
        self.ring = ring
        self.workflow = type_in(WORKFLOW, ring)
        self.call = type_in(CALL, ring)
        self.activity = type_in(ACTIVITY, ring)
        self.child_start = type_in(CHILD_START, ring)
        self.event_send = type_in(EVENT_SEND, ring)
        self.work = type_in(WORK, ring)
        self.code = type_in(CODE, ring)
        self.ended = type_in(ENDED, ring)
        self.spans = type_in(SPANS, ring)
        self.withdraw = type_in(WITHDRAW, ring)
        self.operation = type_in(OPERATION, ring)
        self.operation_run = type_in(OPERATION_RUN, ring)
        self.worker_mark = type_in(WORKER_MARK, ring)
        self.state = type_in(STATE, ring)
        self.state_expiry = type_in(STATE_EXPIRY, ring)

    def of(self, app_id: str | None) -> "AppAddresses":
        """The addresses of another app, by its id; None or "" is this app."""
        return self if not app_id or app_id == self.app_id else self._directory.of(app_id)

    def all(self) -> Sequence["AppAddresses"]:
        """The addresses of all apps of the store, this app first."""
        return [self, *(self.of(app_id) for app_id in self._directory.names if app_id != self.app_id)]

    def instance(self, instance_id: str) -> Address:
        """The address of an instance."""
        return address_of((self.workflow, instance_id))

    def is_instance(self, address: Address) -> bool:
        """Whether an address is that of an instance of this app."""
        return address.type == self.workflow


class AppDirectory:
    """The addresses of all apps.

    Args:
        first: The id of the engine's first app.
    """

    def __init__(self, first: str) -> None:
        self._apps: Mapping[str, int] = {first: 0}
        self._known: dict[str, AppAddresses] = {}
        self.rings: Callable[[], Collection[str]] = lambda: ()  # the rings of the apps that a message reaches now

    @property
    def names(self) -> Mapping[str, int]:
        """The apps of the store, as it was opened, with their numbers."""
        return self._apps

    def settle(self, apps: Mapping[str, int]) -> None:
        """Learn the apps of the store."""
        # A store without apps takes the engine's app, under any name.
        self._apps = apps or self._apps
        for app_id, addresses in self._known.items():
            addresses.settle(ring_named(app_id, self._apps))

    def of(self, app_id: str) -> AppAddresses:
        """The addresses of an app, whether any host has it or not."""
        found = self._known.get(app_id)
        if found is None:
            found = self._known[app_id] = AppAddresses(app_id, ring_named(app_id, self._apps), directory=self)
        return found

    def app_of(self, actor_type: str) -> str:
        """The id of the app to which the actors of a type belong."""
        return self.app_with(ring_of(actor_type))

    def reached(self, own: Iterable[str]) -> Sequence[str]:
        """The ids of the apps that a request may name: first those of this host, then those of other hosts."""
        rings = {self.of(app_id).ring: app_id for app_id in own}
        return [*rings.values(), *map(self.app_with, sorted(set(self.rings()) - rings.keys()))]

    def app_with(self, ring: str) -> str:
        """The id of the app that has a ring."""
        return ring or next((app_id for app_id, number in self._apps.items() if number == 0), "")
