"""The client of a daemon, over HTTP.

The rule: it is used inside of its `async with`, and has its connections only there.

`perdure.connect` and the command line make one; `client/blocking.py` is its twin for programs without an event loop.
"""

from types import TracebackType
from typing import Self

from ..runtime.authoring.app import App
from .api_server import ApiServer
from .management_client import ManagementClient
from .remote import RemoteOperations


class RemoteClient(ManagementClient):
    """Starts, shows and controls the instances of a daemon.

    Args:
        app: Has the types of inputs and results of workflows that are given by name; None: only types of workflows that
            are given as functions are known.
    """

    def __init__(self, server: ApiServer, app: App | None = None) -> None:
        super().__init__(RemoteOperations(server), server, app)

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._server.__aexit__(exc_type, exc, traceback)

    @property
    def url(self) -> str:
        """The address of the daemon."""
        return self._server.url
