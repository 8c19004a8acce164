"""Keys of callers: the same key gives the same ids, on every machine and in every release."""

import pytest

from perdure.actors.instruments import SYSTEM
from perdure.runtime.execution.ids import make_id
from perdure.runtime.history.keys import event_key_of, execution_id_of, instance_id_of, is_same_key


def test_the_ids_do_not_change() -> None:
    assert instance_id_of("order", "k") == "4e15ca94-9eca-55f0-915f-7b4ca4720435"
    assert execution_id_of("order", "k", "1") == "10e41f37c0c741b82d4c560c91a0c141"
    assert event_key_of("k").hex() == "61f5dc14830084d8dc2d1ebc02ef3dec"


@pytest.mark.parametrize("input_", [None, "", "1", "2", "=", "\ud800"])
def test_an_execution_tells_the_key_and_the_input(input_: str | None) -> None:
    begun = execution_id_of("order", "k", "null")
    asked = execution_id_of("order", "k", input_)
    assert asked != begun
    assert is_same_key(begun, asked)
    assert len(asked) == 32


@pytest.mark.parametrize(("name", "key"), [("order", "k2"), ("other", "k"), ("orderk", ""), ("", "orderk")])
def test_another_key_or_another_workflow_is_another_start(name: str, key: str) -> None:
    assert not is_same_key(execution_id_of("order", "k", "1"), execution_id_of(name, key, "1"))
    assert instance_id_of("order", "k") != instance_id_of(name, key)


def test_a_start_without_a_key_is_no_start_with_one() -> None:
    assert not is_same_key(make_id(SYSTEM), execution_id_of("order", "k", "1"))


@pytest.mark.parametrize("key", ["\ud800", "é", "\0", "x" * 10_000])
def test_any_text_is_a_key(key: str) -> None:
    assert len(instance_id_of("order\udfff", key)) == 36
    assert len(event_key_of(key)) == 16
    assert len(execution_id_of(key, key, key)) == 32
