"""Whether code still stands where a history ends: the code is run through the history, and must give the same commands.

The rule: a run has no effects; only the code of the workflow runs.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ...actors.store.contract import Stored
from ...runtime.authoring.app import App
from ...runtime.authoring.codec import Encoder
from ...runtime.execution.replay import replay as replay_rows
from ...runtime.history.record import InstanceRecord, unpack_record
from ...runtime.history.row import Row, unpack_row
from ...runtime.history.status import Status


class KeptHistory(NamedTuple):
    """The history of the present generation of an instance."""

    instance_id: str
    record: InstanceRecord
    rows: Sequence[Row]


def kept_history(instance_id: str, stored: Stored) -> KeptHistory:
    """The history that a store holds."""
    return KeptHistory(instance_id, unpack_record(stored.record), [unpack_row(entry) for entry in stored.entries])


def check_stands(app: App, history: KeptHistory, encoder: Encoder | None = None) -> bool:
    """Run the code through a history.

    Returns:
        Whether there was anything to compare: the workflow is the app's own.

    Raises:
        NondeterminismError: The code does not fit the history.
    """
    record = history.record
    definition = app.workflows.get(record.name)
    # The end of an instance that was terminated does not come from its code.
    rows = history.rows[:-1] if record.status is Status.TERMINATED else history.rows
    if definition is None or record.remote or not rows:
        return False
    execution, _ = replay_rows(
        definition,
        encoder or Encoder(),
        instance_id=history.instance_id,
        generation=record.generation,
        rows=rows,
    )
    execution.close()
    return True
