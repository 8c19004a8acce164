"""The state API from Python: values in the place of bytes.

The rule: it decides nothing. It writes values as JSON, makes one call, and reads them as the requested type.

`Client.state` makes one (`runtime/operations/client.py`), of an engine's state stores or of a daemon's
(`client/remote_states.py`).
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, TypeVar, overload

from ..authoring.codec import Decoder, Encoder
from ..errors import InvalidRequest
from .state import StateChange, StateValue

T = TypeVar("T")


class SavedValue(NamedTuple):
    """A value, and the etag by which a change can say that it has seen it."""

    value: Any
    etag: str


class SetValue(NamedTuple):
    """Part of a transaction: a value is saved."""

    key: str
    value: Any
    etag: str | None = None
    ttl: timedelta | None = None


class DeleteValue(NamedTuple):
    """Part of a transaction: a value is deleted."""

    key: str
    etag: str | None = None


class StateOperations(Protocol):
    """The calls of the client. Values are bytes; see the methods of `States`."""

    def require(self, store: str) -> None:
        """Check a store's name, where that needs no request.

        Raises:
            StateStoreNotFound: There is no such store.
        """
        ...

    async def get(self, store: str, key: str) -> StateValue | None:
        """Read a value with its etag; None if there is none."""
        ...

    async def change(self, store: str, changes: Sequence[StateChange], *, whole: bool = False) -> None:
        """Make changes in their order.

        Args:
            whole: All of them are made or none.
        """
        ...


class StateClient:
    """The values of one state store, of the app of its engine.

    Args:
        states: The state stores of the engine, or of a daemon.
        store: The name of one of them.

    Raises:
        StateStoreNotFound: There is no such store. Of a daemon the first call says so.
    """

    def __init__(self, states: StateOperations, store: str) -> None:
        states.require(store)
        self._states = states
        self._store = store
        self._encoder = Encoder()

    @overload
    async def get(self, key: str) -> Any: ...
    @overload
    async def get(self, key: str, as_: type[T]) -> T | None: ...
    async def get(self, key: str, as_: Any = Any) -> Any:
        """Read a value; None if there is none.

        Args:
            as_: The type that the value is read as.

        Raises:
            StateStoreNotFound: The daemon has no such store.
            StateKeyInvalid: No value can have that key.
            InvalidRequest: The key is empty.
            PayloadError: The value is not of that type.
            StoreError: It could not be read.
        """
        found = await self.look(key, as_)
        return found.value if found is not None else None

    async def look(self, key: str, as_: Any = Any) -> SavedValue | None:
        """Read a value with its etag; None if there is none. Else as `get`."""
        found = await self._states.get(self._store, checked_key(key))
        if found is None:
            return None
        return SavedValue(Decoder(as_).decode(found.value.decode("utf-8", "replace")), found.etag)

    async def set(
        self, key: str, value: Any, *, etag: str | None = None, new: bool = False, ttl: timedelta | None = None
    ) -> None:
        """Save a value. Durable when it returns.

        Args:
            etag: The value that is there must have it.
            new: There must be no value.
            ttl: Time to live, whole seconds; None: for ever.

        Raises:
            EtagMismatch: Another value is there; nothing was changed.
            StateStoreNotFound, StateKeyInvalid, InvalidRequest, PayloadError, StoreError: Nothing was changed.
        """
        await self._states.change(self._store, [self._saved(SetValue(key, value, etag, ttl))._replace(first_write=new)])

    async def delete(self, key: str, *, etag: str | None = None) -> None:
        """Delete a value, if there is one. Errors are those of `set`."""
        await self._states.change(self._store, [deleted(DeleteValue(key, etag))])

    async def transaction(self, changes: Iterable[SetValue | DeleteValue]) -> None:
        """Make changes, all of them or none. Their etags are those of before the first. Errors are those of `set`."""
        made = [self._saved(each) if isinstance(each, SetValue) else deleted(each) for each in changes]
        await self._states.change(self._store, made, whole=True)

    def _saved(self, asked: SetValue) -> StateChange:
        ttl_s = 0
        if asked.ttl is not None:
            ttl_s, rest = divmod(asked.ttl, timedelta(seconds=1))
            ttl_s += bool(rest)
            if ttl_s < 1:
                raise InvalidRequest(f"the ttl of {asked.key!r} is {asked.ttl}, and must be more than 0 seconds")
        text = self._encoder.encode(asked.value)
        value = b"null" if text is None else text.encode()
        return StateChange(checked_key(asked.key), value, asked.etag or "", ttl_s=ttl_s)


def deleted(asked: DeleteValue) -> StateChange:
    """Make the change that deletes a value."""
    return StateChange(checked_key(asked.key), None, asked.etag or "")


def checked_key(key: Any) -> str:
    """Check a caller's key. Callers may be programs that no type checker has seen.

    Raises:
        InvalidRequest: It is empty, or no text.
    """
    if not isinstance(key, str) or not key:
        raise InvalidRequest(f"a key is a text with one character at least, not {key!r}")
    return key
