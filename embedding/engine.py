"""The engine that a program embeds, `perdure.Engine`: its client has all methods of a daemon's client.

The rule: importing this module imports neither the client nor the management API. The API, which the client calls in
this process, is made by the first method that needs it.

`runtime/engine.py` is the engine itself; the daemon, which has doors of its own, runs that engine.
"""

from functools import partial
from typing import TYPE_CHECKING

from ..runtime.engine import Engine
from ..runtime.operations.steering.embedded import EmbeddedOperations

if TYPE_CHECKING:
    from ..client.management_client import ManagementClient
    from ..runtime.workers.items import ItemWriter


def writer_for(app_id: str) -> "ItemWriter":
    """The writer of work items for workers of other hosts that share the store."""
    from ..daemon.asgi import item_writer  # noqa: PLC0415  the rule above

    return item_writer(app_id)


class EmbeddedEngine(Engine):
    """Hosts an app's workflows and activities.

    Args:
        app: None: without code, so that instances wait until a process with their code opens the store.
        data: A SQLite file, the address of a PostgreSQL database (`postgresql://user@host/database`), ":memory:" for a
            store that ends with the engine, or a store of your own.
        durability: The crash that a commit survives: FULL for power loss, RELAXED only for a crash of the process. On
            PostgreSQL it is always FULL.
        settings: Its limits, and its app id.
        clock: Gives the time; the machine's by default, a `LoopClock` in tests with virtual time.
        propagate: For the daemon only, like the two parameters after it (`runtime/engine.py`).
    """

    client: "ManagementClient"  # starts, steers and lists instances, while the engine runs
    writer_for = partial(writer_for)

    def make_client(self, operations: EmbeddedOperations) -> "ManagementClient":
        from ..client.app_server import AppServer  # noqa: PLC0415  the rule above
        from ..client.management_client import ManagementClient  # noqa: PLC0415
        from .api import OwnApi  # noqa: PLC0415

        return ManagementClient(operations, AppServer(OwnApi(self)), self.app)
