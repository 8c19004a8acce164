"""The functions that connect a Python program to a daemon.

    async with perdure.connect("http://127.0.0.1:3500") as client:
        handle = await client.start(order, input={"total": 99.95})
        print(await handle.result())

The rule: the import of this module is cheap. The first call loads the HTTP library.
"""

from typing import TYPE_CHECKING

from ..runtime.authoring.app import App

if TYPE_CHECKING:
    from .app_server import AsgiApp
    from .blocking import BlockingClient
    from .remote_client import RemoteClient

DEFAULT_SERVER = "http://127.0.0.1:3500"


def connect(
    where: "str | AsgiApp" = DEFAULT_SERVER,
    *,
    token: str | None = None,
    app: App | None = None,
    app_id: str | None = None,
) -> "RemoteClient":
    """Make a client of a daemon, for `async with`. It sends nothing before its first use.

    Args:
        where: The address at which `perdure run` serves HTTP or `perdure.asgi` is mounted; or the app of
            `perdure.asgi`, for an engine in this process.
        token: One of the daemon's API tokens; None: the daemon requires none.
        app: Has the types of workflows that are given by name.
        app_id: The app of the instances; None: the first app of the daemon.

    Raises:
        ServerAddressInvalid, TokenInvalid: `where` is no address, or the token has invalid characters.
    """
    from .remote_client import RemoteClient  # noqa: PLC0415  see the rule

    if not isinstance(where, str):
        from .app_server import AppServer  # noqa: PLC0415

        return RemoteClient(AppServer(where, token, app_id), app)
    from .server import Server  # noqa: PLC0415

    return RemoteClient(Server(where, token, app_id), app)


def connect_sync(
    url: str = DEFAULT_SERVER, *, token: str | None = None, app: App | None = None, app_id: str | None = None
) -> "BlockingClient":
    """Make a blocking client of a daemon, for scripts, Django and notebooks. Threads may share it.

    It has its own thread from its first use until `close()`, the end of its `with`, or the end of the program.

    Args:
        url: The address, like `where` of `connect`; the others are the same as there.

    Raises:
        ServerAddressInvalid, TokenInvalid: `url` is no address, or the token has invalid characters.
    """
    from .api_server import checked_token  # noqa: PLC0415
    from .blocking import BlockingClient  # noqa: PLC0415
    from .server import checked_url  # noqa: PLC0415

    return BlockingClient(checked_url(url), token=checked_token(token) if token else None, app=app, app_id=app_id)
