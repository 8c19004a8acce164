"""Ids of children that the workflow's code did not name.

The rule: such an id follows from the parent, the parent's generation and the
event id of the request, so it is the same at every replay. It names the
generation from the second one on, because a child of an earlier generation may
still be running.

Executions make these ids, the stage for remote code corrects the ids of SDKs,
and reruns make them anew.
"""


def child_id(parent_id: str, number: int, execution_id: str | None) -> str:
    """The id of a child that the code did not name.

    Args:
        number: The event id of the request.
        execution_id: The execution of the parent, 32 hex digits; None in its first generation.
    """
    return f"{parent_id}:{number:04x}" if execution_id is None else f"{parent_id}:{execution_id[:8]}:{number:04x}"


def child_number(instance_id: str, parent_id: str) -> int | None:
    """The number in the id of a child of the first generation that the code did not name; None for another id."""
    head, colon, digits = instance_id.rpartition(":")
    try:
        number = int(digits, 16)
    except ValueError:
        return None
    fits = colon and head == parent_id and number >= 0
    return number if fits and child_id(parent_id, number, None) == instance_id else None
