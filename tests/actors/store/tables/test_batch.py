"""A batch that is sorted by rows leaves the same rows as its writes one after the other."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from perdure.actors.address import Address
from perdure.actors.store.audit import AuditRow
from perdure.actors.store.contract import Write
from perdure.actors.store.tables.auditing import unseal_audit
from perdure.actors.store.tables.batch import Batch, sorted_batch

from ....support.actors import store_bench

A = Address("wf", "a")


def write(key: int, **fields: Any) -> Write:
    return store_bench.write(key, A, **fields)


def sort(*writes: Write) -> Batch:
    return sorted_batch(writes)


def test_a_reset_forgets_what_came_before_it_and_keeps_its_own() -> None:
    batch = sort(write(1, entry=b"a"), write(2, entry=b"b"), write(1, reset=True, entry=b"c"))
    assert batch.logs_forgotten == [1]
    assert [(row[0], row[3]) for row in batch.entries] == [(2, b"b"), (1, b"c")]


def test_a_deletion_adds_nothing_but_what_tells_of_it() -> None:
    gone = write(
        1,
        delete=True,
        record=b"r",
        entry=b"e",
        reminders_set=[("t", 5)],
        reminders_cleared=[("s", 4)],
        audit=[AuditRow("purge", "ann", b"")],
    )
    batch = sort(write(1, entry=b"a", reminders_set=[("s", 4)]), gone)
    assert batch.entries == []
    assert batch.reminders_cleared == [(4, 1, "s")]
    assert batch.reminders_set == []
    assert [unseal_audit(*row) for row in batch.audit] == [b""]


def test_of_a_reminder_the_last_word_counts() -> None:
    batch = sort(write(1, reminders_set=[("t", 5)]), write(1, reminders_cleared=[("t", 5)]))
    assert (batch.reminders_cleared, batch.reminders_set) == ([(5, 1, "t")], [])
    batch = sort(write(1, reminders_cleared=[("t", 5)], reminders_set=[("t", 5)]))
    assert (batch.reminders_cleared, [row[:3] for row in batch.reminders_set]) == ([], [(5, 1, "t")])


timers = st.lists(st.tuples(st.sampled_from("st"), st.integers(1, 2)), max_size=2)
steps = st.fixed_dictionaries(
    {
        "key": st.integers(1, 3),
        "entry": st.none() | st.binary(max_size=2),
        "reset": st.booleans(),
        "delete": st.booleans(),
        "reminders_cleared": timers,
        "reminders_set": timers,
    }
)


@given(before=st.lists(steps, max_size=6), batch=st.lists(steps, max_size=10))
def test_all_at_once_leaves_what_one_by_one_does(before: list[dict[str, Any]], batch: list[dict[str, Any]]) -> None:
    model = Model()
    for step in before:
        model.apply(write(**step))
    now = Model(model)
    for step in batch:
        model.apply(write(**step))
    now.bring(sorted_batch([write(**step) for step in batch]))
    assert (now.logs(), now.reminders) == (model.logs(), model.reminders)


class Model:
    """The log and the reminders of a store."""

    def __init__(self, other: "Model | None" = None) -> None:
        self.entries: list[tuple[int, bytes]] = [] if other is None else [*other.entries]
        self.reminders: set[tuple[int, int, str]] = set() if other is None else {*other.reminders}

    def logs(self) -> dict[int, list[bytes]]:
        keys = {key for key, _ in self.entries}
        return {key: [entry for of, entry in self.entries if of == key] for key in keys}

    def apply(self, each: Write) -> None:
        if each.reset or each.delete:
            self.entries = [row for row in self.entries if row[0] != each.key]
        self.reminders -= {(due_us, each.key, name) for name, due_us in each.reminders_cleared}
        if not each.delete:
            if each.entry is not None:
                self.entries.append((each.key, each.entry))
            self.reminders |= {(due_us, each.key, name) for name, due_us in each.reminders_set}

    def bring(self, batch: Batch) -> None:
        self.entries = [row for row in self.entries if row[0] not in batch.logs_forgotten]
        self.entries += [(key, entry) for key, _, _, entry in batch.entries]
        self.reminders = (self.reminders - {*batch.reminders_cleared}) | {row[:3] for row in batch.reminders_set}
