"""The ways to a daemon from Python.

    async with perdure.connect("http://127.0.0.1:3500") as client:
        handle = await client.start(order, input={"total": 99.95})
        print(await handle.result())

The rule: importing this costs nothing. The HTTP library is loaded by the first call.
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
    """Make a client of a daemon, for `async with`. Nothing is sent until it is used.

    Args:
        where: Where `perdure run` serves HTTP, or where `perdure.asgi` is mounted. Or what `perdure.asgi` has
            given, for an engine in this process.
        token: One of the daemon's API tokens; None: it asks for none.
        app: Tells the types of workflows that are given by name.
        app_id: The app whose instances are meant; None: the first app of the daemon.

    Raises:
        ServerAddressInvalid, TokenInvalid: `where` or the token cannot be one.
    """
    from .remote_client import RemoteClient  # noqa: PLC0415  the rule above

    if not isinstance(where, str):
        from .app_server import AppServer  # noqa: PLC0415

        return RemoteClient(AppServer(where, token, app_id), app)
    from .server import Server  # noqa: PLC0415

    return RemoteClient(Server(where, token, app_id), app)


def connect_sync(
    url: str = DEFAULT_SERVER, *, token: str | None = None, app: App | None = None, app_id: str | None = None
) -> "BlockingClient":
    """Make a client of a daemon whose methods wait: for scripts, Django, notebooks. Threads may share it.

    It has a thread of its own from its first use until `close()`, or the end of its `with`, or that of the program.

    Args:
        url: As of `connect`; so are the others.

    Raises:
        ServerAddressInvalid, TokenInvalid: `url` or the token cannot be one.
    """
    from .api_server import checked_token  # noqa: PLC0415
    from .blocking import BlockingClient  # noqa: PLC0415
    from .server import checked_url  # noqa: PLC0415

    return BlockingClient(checked_url(url), token=checked_token(token) if token else None, app=app, app_id=app_id)
