"""`perdure.asgi`: the management API and the page of an embedded engine, for a program that serves HTTP itself.

    web = Starlette(routes=[Mount("/perdure", perdure.asgi(engine, api_tokens=[TOKEN]))])

The rule: importing this costs nothing, and the API is never open by oversight. The program must say who may use it.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..runtime.engine import Engine

if TYPE_CHECKING:
    from ..http.embedded import EmbeddedApp
    from ..runtime.workers.items import ItemWriter

logger = logging.getLogger(__name__)


def asgi(
    engine: Engine,
    *,
    api_tokens: Sequence[str] | Mapping[str, str] = (),
    unauthenticated: bool = False,
    allowed_hosts: Sequence[str] = (),
    page: bool = True,
) -> "EmbeddedApp":
    """Make an ASGI app of the management API, `/api/v1`, and its pages; for any `root_path`.

    Mounted in another app, it serves an engine that this app starts and stops. Served as it is (`uvicorn shop:web`), it
    starts the engine and stops it. uvicorn waits for readers of events when it stops, unless it is told how long:
    `--timeout-graceful-shutdown 5`.

    Args:
        api_tokens: Each opens it. The keys of a mapping are their names, which stand in the audit.
        unauthenticated: All who reach it may use it: the program around it asks for a login, say.
        allowed_hosts: Without tokens: the names under which the program is reached. Requests under other names with a
            dot are refused, so that no web page reaches it under a name of its own.
        page: Whether there is a page at `/ui/`, below the `root_path`.

    Raises:
        ValueError: It is said neither who may use it nor that all may, or both.
    """
    given = list(api_tokens.values() if isinstance(api_tokens, Mapping) else api_tokens)
    if isinstance(api_tokens, str) or not all(given):
        raise ValueError("api_tokens is a list of texts, none of them empty: an empty one would be no secret.")
    if bool(given) is unauthenticated:
        raise ValueError(
            "perdure.asgi opens the engine to callers that know a token or, if you say so, to all: give either "
            "api_tokens=[...] or unauthenticated=True."
        )
    import anyio  # noqa: PLC0415  the rule above

    from ..api.sidecar import Sidecar  # noqa: PLC0415
    from ..api.tokens import NamedToken, Tokens, name_by_place  # noqa: PLC0415
    from ..http.app import HttpOptions, create_app  # noqa: PLC0415
    from ..http.embedded import EmbeddedApp  # noqa: PLC0415
    from ..rpc.wire.event_json import event_writer  # noqa: PLC0415

    app_id = engine.app_id
    stopping = anyio.Event()
    if isinstance(api_tokens, Mapping):
        tokens = [NamedToken(name, token) for name, token in api_tokens.items()]
    else:
        tokens = [NamedToken(name_by_place(place), token) for place, token in enumerate(api_tokens)]
    app = create_app(
        engine.facade,
        HttpOptions(
            app_id=app_id,
            api_tokens=Tokens(tokens) if tokens else (),
            allowed_hosts=tuple(allowed_hosts),
            page=page,
        ),
        Sidecar(EmbeddedControl(engine), app_id=app_id, states=engine.states),
        engine.management,
        stopping=stopping,
        event_json=event_writer(app_id),
        sidecar_routes=False,  # one of them stops the process
    )
    engine.on_stop(stopping.set)
    return EmbeddedApp(app, start=engine.start, stop=engine.stop, running=lambda: engine.ready, stopping=stopping.set)


class EmbeddedControl:
    """An embedded engine as the pages see it. `api/control.py` describes each method."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ready(self) -> bool:
        return self._engine.ready

    def unready(self) -> str | None:
        return None if self._engine.ready else "the engine does not run, or its store takes no writes"

    def shutdown(self, force: bool) -> None:
        """Nothing: the engine belongs to the program around it."""
        logger.warning("a request to shut down was ignored: the engine belongs to the program in which it runs")

    def connected_workers(self) -> int:
        return self._engine.dispatcher.connected + (self._engine.app is not None)

    def active_actors(self) -> Mapping[str, int]:
        return self._engine.active_actors()

    @property
    def runtime_version(self) -> str:
        from ..actors.release import own_release  # noqa: PLC0415

        return own_release()


def item_writer(app_id: str) -> "ItemWriter":
    """The writer of work for the workers of other hosts that share the store of an engine."""
    from ..rpc.wire.work_items import WorkItemWriter  # noqa: PLC0415  only an engine beside such hosts needs protobuf

    return WorkItemWriter(app_id)
