"""The blocking client of a daemon, for programs without an event loop.

The rule: it has the methods of `RemoteClient`, which block, and `call` for a function of the program.
`client/blocking_calls.py` does the waiting.

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
    """Starts, shows and controls the instances of a daemon; each method blocks. Threads may share it.

    Args:
        url: The address of the daemon.
        token: One of its API tokens.
        app: Has the types of workflows that are given by name.
        app_id: The app of the instances; None: the first app of the daemon.
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
        """Run a function with the asynchronous client in its event loop, and wait for the function."""
        return self._call(function)
