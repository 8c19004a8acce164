"""The blocking twin of `StateClient`.

The rule: each method is the one of `StateClient`, and waits.

Made by tests/support/blocking_twin.py of runtime/state/client.py. Changes are made there.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar, overload

from ..runtime.state.client import DeleteValue, SavedValue, SetValue
from .blocking_calls import BlockingStateCalls

T = TypeVar("T")


class BlockingState(BlockingStateCalls):
    """The methods of `StateClient`, each of which waits."""

    @overload
    def get(self, key: str) -> Any: ...

    @overload
    def get(self, key: str, as_: type[T]) -> T | None: ...

    def get(self, key: str, as_: Any = Any) -> Any:
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
        return self._call(lambda client: client.get(key, as_))

    def look(self, key: str, as_: Any = Any) -> SavedValue | None:
        """Read a value with its etag; None if there is none. Else as `get`."""
        return self._call(lambda client: client.look(key, as_))

    def set(
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
        self._call(lambda client: client.set(key, value, etag=etag, new=new, ttl=ttl))

    def delete(self, key: str, *, etag: str | None = None) -> None:
        """Delete a value, if there is one. Errors are those of `set`."""
        self._call(lambda client: client.delete(key, etag=etag))

    def transaction(self, changes: Iterable[SetValue | DeleteValue]) -> None:
        """Make changes, all of them or none. Their etags are those of before the first. Errors are those of `set`."""
        self._call(lambda client: client.transaction(changes))
