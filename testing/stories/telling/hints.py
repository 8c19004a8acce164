"""Hints: the usual cause of a failure and its remedy, where they are known.

The rule: a hint is given for what was seen in the world that failed, not for what might be.
"""

from collections.abc import Mapping, Sequence

from ....runtime.errors import WorkflowFailed
from ...simulation.loop import Stuck
from ...simulation.machines.outside import Deed
from ..errors import InvariantFailed
from ..trial.running import WorldFacts

STARTED_AGAIN = (
    "{ids} had ended when its start was repeated, and the id of an instance that has ended may be used again. "
    'Start with if_exists="return".'
)
UNNAMED_AGAIN = (
    "A start without an id was repeated, and made another instance. Give it an instance_id, or an idempotency_key."
)
SAME_KEY = (
    "It was done twice under the same {key}. The receiver of a key has to remember what it did under the key, and to "
    "answer as the first time."
)
NO_KEY = "An activity may run again after a crash. Give ctx.task_execution_id to the system that must not do it twice."
PATCHED = (
    "What has taken a patch needs code that has it. After a way back to code without, such instances wait until the "
    "new code is there again."
)
LOST = "A call to a system outside was lost, and the activity failed of it. With a retry_policy it is tried again."
WAITS = "An instance that waits for an event ends when the story sends it, or by a timeout of its wait."


def hint(error: Exception, facts: WorldFacts) -> str | None:
    """A hint for a failure; None: none is known."""
    if isinstance(error, InvariantFailed) and "recorded patches" in error.what:
        return PATCHED
    if isinstance(error, WorkflowFailed) and "ConnectionError" in str(error):
        return LOST
    if isinstance(error, Stuck):
        return WAITS if " waits for event" in str(error) else None
    if not (twice := _twice(facts.deeds)):
        return None
    if facts.started_again:
        return STARTED_AGAIN.format(ids=" and ".join(sorted(facts.started_again)))
    if facts.unnamed_again:
        return UNNAMED_AGAIN
    if key := next((deeds[0].key for deeds in twice.values() if deeds[0].key == deeds[-1].key != ""), None):
        return SAME_KEY.format(key=key.partition("=")[0])
    return NO_KEY


def _twice(deeds: Sequence[Deed]) -> Mapping[str, Sequence[Deed]]:
    """The calls that were made more than once."""
    found: dict[str, list[Deed]] = {}
    for deed in deeds:
        found.setdefault(deed.told, []).append(deed)
    return {told: done for told, done in found.items() if len(done) > 1}
