"""Messages change nothing by themselves; the addresses they go to reach the disk and are pinned."""

import pytest

from perdure.actors.address import Address
from perdure.runtime.directory import ACTIVITY, CHILD_START, WORKFLOW
from perdure.runtime.instance import message
from perdure.runtime.instance.message import Start, Terminate, workflow_address


def test_the_types_of_address_are_pinned() -> None:
    # A store is laid out by them: renaming one would orphan every instance in it.
    assert (WORKFLOW, ACTIVITY, CHILD_START) == ("workflow", "activity", "child-start")


def test_an_instance_is_found_under_its_id() -> None:
    assert workflow_address("order-7") == Address("workflow", "order-7")
    assert str(workflow_address("p:0001")) == "workflow/p:0001"


def test_messages_are_values() -> None:
    # Two messages with the same content are equal, and no code on the way can change one.
    assert Terminate("1", True) == Terminate("1", True)
    with pytest.raises(AttributeError):
        Terminate("1", True).recurse = False  # type: ignore[misc]


def test_a_start_begins_at_once_has_no_parent_and_may_reuse_the_id_of_a_finished_instance() -> None:
    start = Start("w", None, "x")
    assert (start.parent, start.start_at_us, start.unique, start.descendants_finished) == (None, None, False, None)


def test_each_message_says_in_its_docstring_or_its_fields_what_it_is_for() -> None:
    for name, thing in vars(message).items():
        if isinstance(thing, type) and thing.__module__ == message.__name__:
            assert getattr(thing, "_fields", ()) or thing.__doc__, name
