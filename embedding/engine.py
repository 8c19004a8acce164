"""The engine that a program embeds, `perdure.Engine`: its client has all methods, as that of a daemon has.

The rule: importing this costs nothing. The management API, which the client asks in this process, is made by the first
method that needs it.

`runtime/engine.py` is the engine itself; the daemon, which has doors of its own, runs that one.
"""

from typing import TYPE_CHECKING

from ..runtime.engine import Engine
from ..runtime.operations.steering.embedded import EmbeddedOperations

if TYPE_CHECKING:
    from ..client.management_client import ManagementClient
    from ..runtime.workers.items import ItemWriter


class EmbeddedEngine(Engine):
    """Hosts an app's workflows and activities.

    Args:
        app: None hosts no code: instances wait until a process that has their code opens the store.
        data: A SQLite file, ":memory:" for nothing that outlives the engine, or a store of your own.
        durability: What a commit survives; FULL is power loss, RELAXED only a crash of the process.
        settings: Its limits, and its app id.
    """

    client: "ManagementClient"

    def make_client(self, operations: EmbeddedOperations) -> "ManagementClient":
        from ..client.app_server import AppServer  # noqa: PLC0415  the rule above
        from ..client.management_client import ManagementClient  # noqa: PLC0415
        from .api import OwnApi  # noqa: PLC0415

        return ManagementClient(operations, AppServer(OwnApi(self)), self.app)

    def make_item_writer(self) -> "ItemWriter":
        from ..daemon.asgi import item_writer  # noqa: PLC0415  the rule above

        return super().make_item_writer() or item_writer(self.app_id)
