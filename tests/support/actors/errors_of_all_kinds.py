"""An error of any class of the package, made from its own signature."""

from collections.abc import Sequence
from typing import Any, get_type_hints

from perdure.actors.address import Address
from perdure.actors.cluster.error_form import ErrorForm
from perdure.actors.errors import PerdureError
from perdure.actors.store.part import Part
from perdure.actors.text import ErrorElsewhere
from perdure.runtime.history.failure import FailedCall, FailureDetails
from perdure.runtime.history.instance_state import InstanceState
from perdure.runtime.history.status import Status

FAILURE = FailureDetails(error_type="Oh", message="no", inner=FailureDetails(error_type="Ah", message="so"))
STATE = InstanceState(
    instance_id="i",
    execution_id="e",
    name="order",
    status=Status.FAILED,
    created_us=1,
    updated_us=2,
    input="1",
    output=None,
    custom_status=None,
    failure=FAILURE,
    stall=None,
    parent_id=None,
    version=None,
)

# A value for each type that a parameter has.
VALUES: Sequence[tuple[Any, Any]] = (
    (str, "text"),
    (str | None, "text"),
    (int, 7),
    (int | None, 7),
    (float, 0.25),
    (bool, True),
    (bool | None, True),
    (Address, Address("workflow", "a")),
    (BaseException, ErrorElsewhere("KeyError", "'x'")),
    (Part, Part(1, 2)),
    (tuple[str, ...], ("a", "b")),
    (Sequence[str], ("a", "b")),
    (Status, Status.RUNNING),
    (FailureDetails, FAILURE),
    (FailedCall | None, FailedCall(kind="activity", name="charge", id=3, attempt=2, failure=FAILURE)),
    (InstanceState, STATE),
)
# Parameters that allow only a few values.
NAMED = {"limit": "payload_bytes_max"}


def example(kind: type[PerdureError]) -> PerdureError:
    """Make an error of a class."""
    parameters = ErrorForm(kind).parameters
    if parameters is None:
        return kind("what is so")
    hints = get_type_hints(kind.__init__)
    values = [NAMED.get(each.name, value_of(hints[each.name])) for each in parameters]
    both = list(zip(parameters, values, strict=True))
    positional = [value for each, value in both if each.kind is each.POSITIONAL_OR_KEYWORD]
    return kind(*positional, **{each.name: value for each, value in both if each.kind is each.KEYWORD_ONLY})


def value_of(hint: Any) -> Any:
    return next(value for known, value in VALUES if known == hint)


def same(error: PerdureError, arrived: PerdureError) -> None:
    """Check that an error arrived unchanged."""
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived).keys() == vars(error).keys()
    for name, value in vars(error).items():
        found = vars(arrived)[name]
        if isinstance(value, ErrorElsewhere):
            assert (found.name, found.text) == (value.name, value.text)
        else:
            assert found == (list(value) if isinstance(found, list) else value), name
