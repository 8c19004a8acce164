"""The id of a child that the code did not name follows from its parent, its generation and its number."""

import pytest

from perdure.runtime.execution.child_ids import child_id, child_number

EXECUTION = "0123456789abcdef0123456789abcdef"


def test_the_first_generation_keeps_the_ids_of_dapr_and_later_ones_have_others() -> None:
    assert child_id("order", 1, None) == "order:0001"
    assert child_id("order", 1, EXECUTION) == "order:01234567:0001"


@pytest.mark.parametrize(
    ("instance_id", "number"),
    [
        ("order:0001", 1),
        ("order:00ff", 255),
        ("order:12345", 0x12345),
        ("order:00FF", None),
        ("order:1", None),
        ("order:00001", None),
        ("order:", None),
        ("order", None),
        ("other:0001", None),
        ("order:0001:0001", None),
        ("order:-001", None),
        ("order:0_01", None),
        ("kid", None),
    ],
)
def test_a_number_is_read_only_from_an_id_of_the_first_generation(instance_id: str, number: int | None) -> None:
    assert child_number(instance_id, "order") == number
