"""The state stores of a daemon, over HTTP.

The rule: it has the methods of `runtime/state/state.py` that `StateClient` uses, with the same errors.

`client/remote.py` makes it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..api.management.state import body_of
from ..api.management.words import ETAG_MISMATCH, STATE_KEY_INVALID, STATE_STORE_MISSING, STATE_UNAVAILABLE
from ..runtime.state.errors import MISMATCH, EtagMismatch, StateKeyInvalid, StateStoreNotFound, StateUnavailable
from ..runtime.state.state import StateChange, StateValue
from .api_server import ApiServer, path_of
from .errors import ServerRefused


class RemoteStates:
    """Calls the state routes of the management API."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def require(self, store: str) -> None:
        """Do nothing: only the daemon knows its stores, so the first request raises the error."""

    async def get(self, store: str, key: str) -> StateValue | None:
        """Read the value of a key; None if it has no value. Raises the errors of an engine."""
        with told_of(store, key):
            answer = await self._server.send("GET", path_of("state", store, key), good=(200, 204))
        return StateValue(answer.content, answer.etag.strip('"')) if answer.status == 200 else None

    async def change(self, store: str, changes: Sequence[StateChange], *, whole: bool = False) -> None:
        """Make all changes or none; a single change is a transaction too. Raises the errors of an engine."""
        assert whole or len(changes) == 1, changes
        with told_of(store, changes[0].key if len(changes) == 1 else ""):
            await self._server.send("POST", path_of("state", store), good=(204,), body=body_of(changes))


class StoreMissing(StateStoreNotFound):
    """No state store of the daemon has that name; the message of the server lists the stores."""

    def __init__(self, store: str, message: str) -> None:
        super().__init__(store, ())
        self.args = (store, message)
        self.message = message

    def __str__(self) -> str:
        return self.message


@contextmanager
def told_of(store: str, key: str) -> Iterator[None]:
    """Convert the errors of a block to the errors of an engine.

    Args:
        key: The only key of the request; empty: the request has several.

    Raises:
        StateStoreNotFound, StateKeyInvalid, EtagMismatch, StateUnavailable: The server has answered with it.
    """
    try:
        yield
    except ServerRefused as error:
        match error.code:
            case STATE_STORE_MISSING.code:
                raise StoreMissing(store, error.message) from None
            case STATE_KEY_INVALID.code:
                raise StateKeyInvalid(store, key, error.message) from None
            case ETAG_MISMATCH.code:
                # For a transaction the message names the value, but its position is unknown.
                raise EtagMismatch([0] if key else [], [error.message.removeprefix(f"{MISMATCH}: ")], False) from None
            case STATE_UNAVAILABLE.code:
                raise StateUnavailable(error.message) from None
        raise
