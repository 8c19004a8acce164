"""The client of a daemon for programs without an event loop.

The rule: it has the methods of `RemoteClient`, each of which waits, and `call` for a function of the program. How it
waits is in `client/blocking_calls.py`.

`perdure.connect_sync` makes one.
"""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

from ..runtime.authoring.app import App
from .blocking_management import BlockingManagement
from .remote_client import RemoteClient
from .server import Server

T = TypeVar("T")


class BlockingClient(BlockingManagement):
    """Starts, sees and steers the instances of a daemon; each method waits. Threads may share it.

    Args:
        url: The daemon's address.
        token: One of its API tokens.
        app: Tells the types of workflows that are given by name.
        app_id: The app whose instances are meant; None: the first app of the daemon.
    """

    def __init__(
        self, url: str, *, token: str | None = None, app: App | None = None, app_id: str | None = None
    ) -> None:
        super().__init__(lambda: RemoteClient(Server(url, token, app_id), app))
        self.url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def call(self, function: Callable[[RemoteClient], Awaitable[T]]) -> T:
        """Do several things with the other client in its event loop, and wait for the last of them."""
        return self._call(function)
