"""The flight record outlives its process, and lists exactly the work that was under way."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.hosting import flight_record
from perdure.actors.hosting.flight_record import FlightRecord, id_of, name_of


def wf(actor_id: str) -> Address:
    return Address("wf", actor_id)


X, Y = wf("x"), wf("y")


class Processes:
    """Processes that use one record, one after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.all: list[FlightRecord] = []

    def begin(self, *, slots: int = 3) -> FlightRecord:
        """Begin another one. The one before has ended, in order only if it was closed."""
        record = FlightRecord(self.path, actor_type="wf", slots=slots)
        record.open()
        self.all.append(record)
        return record


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(tmp_path / "p.db.flight")
    yield processes
    for record in processes.all:
        record.close()


def suspected(record: FlightRecord) -> list[tuple[bytes, bytes]]:
    return [(suspect.name, suspect.what) for suspect in record.suspects]


def test_the_first_process_suspects_no_instance(processes: Processes) -> None:
    assert processes.begin().suspects == []


def test_only_what_is_under_way_at_the_end_is_suspect(processes: Processes) -> None:
    # Given an activity that has ended, one that has not, and a turn,
    record = processes.begin()
    record.end(record.begin(wf("done"), "d:1"))
    record.begin(wf("x"), "x1:3")
    record.turn_begins(Y)
    # when the process ends silently, then the next one knows the unfinished two; the turn is tried first.
    assert suspected(processes.begin()) == [(b"y", b""), (b"x", b"x1:3")]


def test_actors_that_could_not_be_read_are_known_over_all_ends(processes: Processes) -> None:
    record = processes.begin()
    assert not record.was_unreadable(X)
    for _ in range(2):
        record.is_unreadable(X)
    record.is_unreadable(Address("worker-mark", "y"))
    record.close()
    for _ in range(2):
        record = processes.begin()
        record.begin(wf("y"), "y1:3")  # and the suspects are beside them
        assert (record.was_unreadable(X), record.was_unreadable(Y)) == (True, False)
        assert record.unreadable == [b"x"]


def test_of_too_many_the_oldest_are_forgotten(processes: Processes) -> None:
    record = processes.begin()
    for number in range(flight_record.UNREADABLE_MAX + 1):
        record.is_unreadable(Address("wf", f"x{number}"))
    record = processes.begin()
    assert len(record.unreadable) == flight_record.UNREADABLE_MAX
    assert (record.unreadable[0], record.unreadable[-1]) == (b"x1", b"x64")


def test_a_record_of_a_release_that_did_not_note_them_is_read(processes: Processes) -> None:
    record = processes.begin()
    record.begin(wf("x"), "x1:3")
    file = bytearray(processes.path.read_bytes())[: -flight_record.UNREADABLE.size * flight_record.UNREADABLE_MAX]
    file[flight_record.UNREADABLE_SLOTS_AT : flight_record.UNREADABLE_SLOTS_AT + 4] = bytes(4)
    processes.path.write_bytes(file)
    record = processes.begin()
    assert (suspected(record), record.unreadable) == ([(b"x", b"x1:3")], [])


def test_a_disk_that_takes_a_part_of_the_file_at_a_time_gets_all_of_it(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[: max(1, len(data) // 2)]))
    record = processes.begin()
    record.begin(wf("x"), "x1:3")
    assert suspected(processes.begin()) == [(b"x", b"x1:3")]


def test_an_orderly_stop_clears_everything(processes: Processes) -> None:
    record = processes.begin()
    record.begin(wf("x"), "x1:3")
    record.close()
    assert processes.begin().suspects == []


def test_between_turns_no_turn_is_under_way_and_other_types_of_actors_never_are(processes: Processes) -> None:
    record = processes.begin()
    record.turn_begins(X)
    record.turns_over()
    record.turn_begins(Address("worker-mark", "connected"))
    assert processes.begin().suspects == []


def test_a_finished_attempt_clears_its_suspect_and_no_other(processes: Processes) -> None:
    record = processes.begin()
    record.begin(wf("x"), "x1:3")
    record.begin(wf("x"), "x1:4")
    record = processes.begin()
    # When one of the two activities ends in the next process, and others that are not suspect,
    record.end(record.begin(wf("x"), "x1:3"))
    record.end(record.begin(wf("x"), "x1:9"))
    assert suspected(record) == [(b"x", b"x1:4")]
    # then its count starts at zero if it is under way again.
    record.begin(wf("x"), "x1:3")
    record.begin(wf("x"), "x1:4")
    assert {suspect.what: suspect.ends for suspect in processes.begin().suspects} == {b"x1:3": 1, b"x1:4": 2}


def test_a_turn_with_an_effect_clears_the_turn(processes: Processes) -> None:
    processes.begin().turn_begins(X)
    record = processes.begin()
    record.turn_ended(Y)
    assert suspected(record) == [(b"x", b"")]
    record.turn_ended(X)
    assert suspected(record) == []


def test_a_suspect_without_the_floor_is_not_cleared_by_the_end_of_another(processes: Processes) -> None:
    record = processes.begin()
    record.begin(wf("x"), "x1:1")
    record.begin(wf("y"), "y1:1")
    record = processes.begin()
    record.tries(b"y")
    record.begin(wf("y"), "y1:1")
    record = processes.begin()
    assert {suspect.name: (suspect.ends, suspect.alone) for suspect in record.suspects} == {b"y": (2, 1), b"x": (1, 0)}
    # With the floor it is cleared, if it is not under way then.
    record.tries(b"x")
    record.begin(wf("y"), "y1:1")
    assert suspected(processes.begin()) == [(b"y", b"y1:1")]


def test_an_end_with_nothing_under_way_clears_everybody(processes: Processes) -> None:
    processes.begin().begin(wf("x"), "x1:3")
    assert len(processes.begin().suspects) == 1
    assert processes.begin().suspects == []


def test_what_has_no_slot_is_not_noted_and_does_no_harm(processes: Processes) -> None:
    record = processes.begin(slots=1)
    first = record.begin(wf("x"), "x1:1")
    second = record.begin(wf("x"), "x1:2")
    assert (first, second) == (0, -1)
    record.end(second)
    record.end(first)
    assert record.begin(wf("x"), "x1:3") == 0


@pytest.mark.parametrize("actor_id", ["order-17", "Straße 7", "\ud800", "i" * 199, "i" * 5000, "ü" * 150])
def test_every_id_has_a_name_that_fits_and_is_its_own(processes: Processes, actor_id: str) -> None:
    processes.begin().begin(wf(actor_id), "x1:1")
    (suspect,) = processes.begin().suspects
    assert suspect.name == name_of(actor_id) != name_of(actor_id + "i")
    assert id_of(suspect.name) in (actor_id, None)
    assert (id_of(suspect.name) is None) == (len(actor_id.encode("utf-8", "surrogatepass")) >= 200)


def test_actors_of_several_apps_are_told_apart_by_their_types(processes: Processes) -> None:
    # Given turns of two apps, and an activity that another app has asked for,
    bank, call = Address("wf@bank", "x"), Address("call@bank", "x")
    record = processes.begin()
    record.types = frozenset(("wf", "wf@bank"))
    record.begin(call, "c:1")
    record.begin(X, "x1:3")
    record.turn_begins(Address("worker-mark@bank", "x"))  # runs no code of users
    record.turn_begins(bank)
    # then each is suspect by its own address; that of the first app has its former name.
    record = processes.begin()
    assert {record.address_of(suspect.name) for suspect in record.suspects} == {bank, call, X}
    assert b"x" in {suspect.name for suspect in record.suspects}
    record.types = frozenset(("wf", "wf@bank"))
    record.turn_ended(bank)
    record.clear_actor(call)
    assert suspected(record) == [(b"x", b"x1:3")]
    # The next process knows of an unreadable actor too.
    record.is_unreadable(bank)
    record = processes.begin()
    record.types = frozenset(("wf", "wf@bank"))
    assert record.was_unreadable(bank)
    assert not record.was_unreadable(X)


def test_of_a_long_name_only_the_first_part_is_there(processes: Processes) -> None:
    record = processes.begin()
    record.begin(Address("wf@bank", "i" * 500), "x1:1")
    record = processes.begin()
    (suspect,) = record.suspects
    assert record.address_of(suspect.name) is None
    assert suspect.name == record.name(Address("wf@bank", "i" * 500))


def test_the_file_is_the_users_alone(processes: Processes) -> None:
    processes.begin()
    assert stat.S_IMODE(processes.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("found", [b"", b"x", b"\0" * 4096, b"PDFLT001\x01", b"PDFLT001\x01" + b"\xff" * 100])
def test_a_record_that_is_none_tells_nothing(processes: Processes, found: bytes) -> None:
    processes.path.write_bytes(found)
    assert processes.begin().suspects == []


def test_where_no_file_can_be_written_the_process_does_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = FlightRecord(tmp_path / "nowhere" / "p.flight", actor_type="wf", slots=2)
    record.open()
    assert "cannot be written" in caplog.text
    assert record.begin(wf("x"), "x1:1") == -1
    record.turn_begins(X)
    record.turns_over()
    record.close()


def test_how_long_something_was_under_way_is_known_from_the_signs_of_life(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1000.0
    monkeypatch.setattr(flight_record, "time", SimpleNamespace(monotonic=lambda: now_s))
    monkeypatch.setattr(flight_record, "ALIVE_S", 0.001)
    record = processes.begin()

    async def live() -> None:
        nonlocal now_s
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(record.run)
            record.begin(wf("x"), "x1:1")
            await anyio.sleep(0.01)
            now_s += 75
            await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()

    anyio.run(live)
    (suspect,) = processes.begin().suspects
    assert suspect.took_s == 75
    assert suspect.early == 0
