"""The engine that a program embeds, `perdure.Engine`: its client has all methods, as that of a daemon has.

The rule: importing this costs nothing. The management API, which the client asks in this process, is made by the first
method that needs it.

`runtime/engine.py` is the engine itself; the daemon, which has doors of its own, runs that one.
"""

from functools import partial
from typing import TYPE_CHECKING

from ..runtime.engine import Engine
from ..runtime.operations.steering.embedded import EmbeddedOperations

if TYPE_CHECKING:
    from ..client.management_client import ManagementClient
    from ..runtime.workers.items import ItemWriter


def writer_for(app_id: str) -> "ItemWriter":
    """The writer of work for the workers of other hosts that share the store."""
    from ..daemon.asgi import item_writer  # noqa: PLC0415  the rule above

    return item_writer(app_id)


class EmbeddedEngine(Engine):
    """Hosts an app's workflows and activities.

    Args:
        app: None hosts no code: instances wait until a process that has their code opens the store.
        data: A SQLite file, the address of a PostgreSQL database (`postgresql://user@host/database`), ":memory:" for
            nothing that outlives the engine, or a store of your own.
        durability: What a commit survives; FULL is power loss, RELAXED only a crash of the process. On PostgreSQL it is
            always FULL.
        settings: Its limits, and its app id.
        clock: Tells the time; the machine's by default, a `LoopClock` in tests with virtual time.
        propagate: For the daemon, as are the last two (`runtime/engine.py`).
    """

    client: "ManagementClient"  # starts, steers and lists instances, while the engine runs
    writer_for = partial(writer_for)

    def make_client(self, operations: EmbeddedOperations) -> "ManagementClient":
        from ..client.app_server import AppServer  # noqa: PLC0415  the rule above
        from ..client.management_client import ManagementClient  # noqa: PLC0415
        from .api import OwnApi  # noqa: PLC0415

        return ManagementClient(operations, AppServer(OwnApi(self)), self.app)
