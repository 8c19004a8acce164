"""The parts that the workflow actors of one engine share: the app, and its settings.

The rule: nothing here belongs to an instance. The engine makes one record
and gives it to the actors' type; each actor uses it in its turns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import msgpack

from ..authoring.app import App, WorkflowDefinition
from ..authoring.codec import Encoder
from ..authoring.limits import USUAL_LIMITS, WorkflowLimits
from ..directory import NO_APP_ID, AppAddresses
from ..execution.direct_calls import Watch
from ..history.row import RowPacker
from ..history.timed_event import TimedEvent
from ..observing.spans import SpanChoice

# Makes the part of an instance's history that its activities and children see. It takes the id, the events, a
# Propagation, and the history that the instance may itself see; it returns a serialized PropagatedHistory, or None.
Propagate: TypeAlias = Callable[[str, Sequence[TimedEvent], int, bytes | None], bytes | None]


@dataclass(slots=True)
class Surroundings:
    """The parts of an engine that a workflow actor uses. Not frozen: `Engine.observe` and `trace` set fields later."""

    app: App | None  # None: no workflow code is here; instances wait for it
    app_id: str = field(default=NO_APP_ID, kw_only=True)
    addresses: AppAddresses | None = field(default=None, kw_only=True)  # of this app; None: it is the only one
    # Whether code that the app does not have is left to remote workers, with no limit on the wait for one. If not, the
    # call fails at once, as it does with a worker that does not have the code.
    waits_for_workers: Callable[[], bool] = field(default=lambda: False, kw_only=True)
    # Whether another host of the app has, or may have, a workflow that this host lacks.
    code_elsewhere: Callable[[str], bool] = field(default=lambda name: False, kw_only=True)
    propagate: Propagate = field(default=lambda instance_id, events, scope, received: None, kw_only=True)
    observed: bool = field(default=False, kw_only=True)  # the end of each instance is reported
    spans: SpanChoice | None = field(default=None, kw_only=True)  # set later, as `observed` is; None: none are made
    limits: WorkflowLimits = field(default=USUAL_LIMITS, kw_only=True)
    watch_calls: Watch | None = field(default=None, kw_only=True)  # detects activities that are called as functions
    encoder: Encoder = field(default_factory=Encoder, kw_only=True)
    # Both keep a buffer, which is dear to make and cheap to use again.
    packer: RowPacker = field(default_factory=RowPacker, kw_only=True)
    record_packer: msgpack.Packer = field(default_factory=msgpack.Packer, kw_only=True)
    own: AppAddresses = field(init=False)  # of this app

    def __post_init__(self) -> None:
        self.own = self.addresses or AppAddresses(self.app_id)

    def definition(self, name: str) -> WorkflowDefinition | None:
        """The app's workflow of a name; None: the app has none."""
        return self.app.workflows.get(name) if self.app is not None else None
