"""`perdure.asgi`: the management API and the page of an embedded engine, for a program that serves HTTP itself.

    web = Starlette(routes=[Mount("/perdure", perdure.asgi(engine, api_tokens=[TOKEN]))])

The rule: the import of this module is cheap, and the API is never open by oversight: the program must say who may use
it.
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
    """Make an ASGI app of the management API, `/api/v1`, and its pages. It works under any `root_path`.

    If the ASGI app is mounted in another one, that one starts and stops the engine. If it is served by itself (`uvicorn
    shop:web`), it starts and stops the engine. When uvicorn stops, it waits for readers of events;
    `--timeout-graceful-shutdown 5` limits the wait.

    Args:
        api_tokens: Each of them opens the API. The keys of a mapping are the names of the tokens, for the audit.
        unauthenticated: Every caller may use the API, because the program around it asks for a login, for example.
        allowed_hosts: The names under which callers without tokens reach the program. Requests for other names with a
            dot are refused, so that no web page reaches the program under a name of its own.
        page: Whether the page is served at `/ui/`, below the `root_path`.

    Raises:
        ValueError: Neither tokens nor `unauthenticated` were given, or both were.
    """
    given = list(api_tokens.values() if isinstance(api_tokens, Mapping) else api_tokens)
    if isinstance(api_tokens, str) or not all(given):
        raise ValueError("api_tokens is a list of texts, none of them empty: an empty one would be no secret.")
    if bool(given) is unauthenticated:
        raise ValueError(
            "perdure.asgi opens the engine to callers that know a token or, if you say so, to all: give either "
            "api_tokens=[...] or unauthenticated=True."
        )
    import anyio  # noqa: PLC0415  see the rule

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
        sidecar_routes=False,  # one of these routes stops the process
    )
    engine.on_stop(stopping.set)
    return EmbeddedApp(app, start=engine.start, stop=engine.stop, running=lambda: engine.ready, stopping=stopping.set)


class EmbeddedControl:
    """The control of an embedded engine, for its pages. `api/control.py` describes each method."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ready(self) -> bool:
        return self._engine.ready

    def unready(self) -> str | None:
        return None if self._engine.ready else "the engine does not run, or its store takes no writes"

    def shutdown(self, force: bool) -> None:
        """Do nothing, because the engine belongs to the program around it."""
        logger.warning("a request to shut down was ignored: the engine belongs to the program in which it runs")

    def connected_workers(self) -> int:
        return self._engine.apps[self._engine.app_id].connected_workers()

    def active_actors(self) -> Mapping[str, int]:
        return self._engine.active_actors()

    @property
    def runtime_version(self) -> str:
        from ..actors.release import own_release  # noqa: PLC0415

        return own_release()


def item_writer(app_id: str) -> "ItemWriter":
    """Return the writer of work items for workers at other hosts that share the store of an engine."""
    from ..rpc.wire.work_items import WorkItemWriter  # noqa: PLC0415  only an engine beside such hosts needs protobuf

    return WorkItemWriter(app_id)
