"""A process counts as ended only where that is certain."""

import os
import subprocess
import sys

import pytest

from perdure.actors.store.presence import place
from perdure.actors.store.presence.place import is_gone, machine_name, own_place

TELL = "from perdure.actors.store.presence.place import own_place; print(own_place(), flush=True); input()"


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


def test_anything_but_a_place_proves_no_end() -> None:
    scope, _, _ = own_place().partition("/")
    for no_place in ("", scope, f"{scope}/x/1", f"{scope}/1/0"):
        assert not is_gone(no_place, began=lambda _: None)


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell when a process began")
def test_a_process_has_ended_from_its_end_on_also_while_its_parent_has_not_asked() -> None:
    # Given a process that lives,
    with subprocess.Popen([sys.executable, "-c", TELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        assert it.stdin is not None
        there = it.stdout.readline().strip()
        assert not is_gone(there)
        # when it has ended, and only waits for its parent,
        it.stdin.close()
        os.waitid(os.P_PID, it.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(there)
    # then it counts as ended, as it does after its parent has read its exit code.
    assert is_gone(there)


def test_nothing_is_known_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, **_: object) -> None:
        raise FileNotFoundError(path)

    monkeypatch.setattr(place, "open", refuse, raising=False)
    here = own_place()
    assert here.startswith(f"?{machine_name()}/")
    assert not is_gone(here)
    assert not is_gone(here, began=lambda _: None)
