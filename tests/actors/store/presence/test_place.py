"""A process is known to have ended where that is certain, and nowhere else."""

import os

from perdure.actors.store.presence.place import is_gone, machine_name, own_place


def test_this_process_is_here() -> None:
    assert not is_gone(own_place())
    assert machine_name()


def test_a_process_without_an_id_here_has_ended() -> None:
    assert is_gone(own_place(), began=lambda _: None)


def test_another_process_of_the_same_id_is_another_process() -> None:
    scope, _, _ = own_place().partition("/")
    assert is_gone(f"{scope}/{os.getpid()}/1")
    assert not is_gone(f"{scope}/77/1234", began=lambda pid: "1234" if pid == 77 else None)


def test_of_another_machine_and_of_another_boot_nothing_is_known() -> None:
    _, _, process = own_place().partition("/")
    for scope in ("elsewhere", "?elsewhere", ""):
        assert not is_gone(f"{scope}/{process}", began=lambda _: None)


def test_what_is_no_place_says_nothing() -> None:
    scope, _, _ = own_place().partition("/")
    for place in ("", scope, f"{scope}/x/1", f"{scope}/1/0"):
        assert not is_gone(place, began=lambda _: None)
