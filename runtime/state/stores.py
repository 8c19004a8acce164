"""State stores: their names, and the prefixes by which the keys of apps are kept apart in them.

The rule: all state stores are kept in the engine's own store, apart by their names. A key is kept under the id of its
app, as Dapr keeps it, unless the store says otherwise.

Source: dapr `pkg/components/state/state_config.go`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...actors.store.contract import ITEM_NAME_BYTES_MAX
from .errors import StateKeyInvalid, StateStoreNotFound

USUAL_STORE = "statestore"  # exists if no other is named
SEPARATOR = "||"
STORE_NAME_BYTES_MAX = 256

# How a store prefixes keys; any other text is a prefix itself.
BY_APP_ID, BY_NAMESPACE, BY_NAME, UNPREFIXED = "appid", "namespace", "name", "none"


@dataclass(frozen=True, slots=True)
class StateStore:
    """A state store.

    Args:
        name: By which requests name it.
        key_prefix: As `keyPrefix` of Dapr's components.
        kind: Its type as a component, which has no meaning here.
        version: Its version as a component, which has no meaning here.

    Raises:
        ValueError: The name or the prefix is invalid.
    """

    name: str
    key_prefix: str = BY_APP_ID
    kind: str = "state.perdure"
    version: str = "v1"

    def __post_init__(self) -> None:
        if not self.name or "\0" in self.name or len(self.name.encode()) > STORE_NAME_BYTES_MAX:
            raise ValueError(
                f"{self.name[:80]!r} is no name of a state store: it has 1 to {STORE_NAME_BYTES_MAX} bytes, and no NUL"
            )
        if SEPARATOR in self.key_prefix:
            raise ValueError(_illegal(self.key_prefix))

    @property
    def shared(self) -> bool:
        """Whether apps see each other's keys."""
        return self.key_prefix.lower() not in (BY_APP_ID, BY_NAMESPACE, "")

    def item_name(self, key: str, *, app_id: str, namespace: str = "") -> str:
        """The name under which the value of a key is kept.

        Raises:
            StateKeyInvalid: No value can have that key.
        """
        if SEPARATOR in key:
            raise StateKeyInvalid(self.name, key, _illegal(key))
        name = self._prefix(app_id, namespace) + key
        try:
            size = len(name.encode())
        except UnicodeEncodeError:
            raise StateKeyInvalid(self.name, repr(key), "the key is no Unicode text") from None
        if size > ITEM_NAME_BYTES_MAX:
            reason = f"the key has {size} bytes with its prefix, and the limit is {ITEM_NAME_BYTES_MAX}"
            raise StateKeyInvalid(self.name, f"{key[:80]}...", reason)
        return name

    def _prefix(self, app_id: str, namespace: str) -> str:
        match self.key_prefix.lower():
            case prefix if prefix == UNPREFIXED:
                return ""
            case prefix if prefix == BY_NAME:
                return self.name + SEPARATOR
            case prefix if prefix in (BY_APP_ID, ""):
                return app_id + SEPARATOR
            case prefix if prefix == BY_NAMESPACE:
                return f"{namespace}.{app_id}{SEPARATOR}" if namespace else app_id + SEPARATOR
            case prefix:
                return prefix + SEPARATOR


@dataclass(frozen=True, slots=True)
class StateStores:
    """The state stores of a daemon.

    Args:
        stores: Of two stores with one name the last one counts.
    """

    stores: Sequence[StateStore] = (StateStore(USUAL_STORE),)

    def __post_init__(self) -> None:
        by_name = {store.name: store for store in self.stores}
        object.__setattr__(self, "stores", tuple(by_name.values()))

    def __iter__(self) -> Iterator[StateStore]:
        return iter(self.stores)

    @property
    def names(self) -> Sequence[str]:
        """The names of all stores."""
        return [store.name for store in self.stores]

    def find(self, name: str) -> StateStore:
        """The store of a name.

        Raises:
            StateStoreNotFound: There is no such store.
        """
        for store in self.stores:
            if store.name == name:
                return store
        raise StateStoreNotFound(name, self.names)


def _illegal(key: str) -> str:
    return f"input key/keyPrefix '{key}' can't contain '{SEPARATOR}'"
