"""Counts: the same each time, and higher when the engine does more."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anyio
import pytest

from perdure.actors.store.contract import Write
from perdure.benchmarks.budget import counts
from perdure.benchmarks.budget.budget import beyond_limits, failures
from perdure.benchmarks.budget.counting_store import ROUNDS, CountingStore
from perdure.benchmarks.budget.counts import LOADS, CountedLoad, calls_counted, count
from perdure.benchmarks.drivers.load import WrongResult
from perdure.runtime.dates import from_us

FAR_US = 4_000_000_000_000_000


def counted(name: str, make_store: Callable[[], CountingStore]) -> CountedLoad:
    (load,) = (load for load in LOADS if load.name == name)
    return anyio.run(count, load, make_store)


def as_budget(*found: CountedLoad) -> dict[str, dict[str, int]]:
    return {each.name: each.counts for each in found}


@pytest.mark.parametrize("name", ["alone", "fan_out", "event"])
def test_counts_do_not_depend_on_how_long_a_commit_waits(name: str, tmp_path: Path) -> None:
    usual = counted(name, lambda: CountingStore(tmp_path / "usual.db"))
    assert usual == counted(name, lambda: CountingStore(tmp_path / "hasty.db", rounds=ROUNDS // 2))


class OneRowMore(CountingStore):
    """Writes a reminder that was not requested, once."""

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        write = writes[0]
        if not self.spoilt:
            self.spoilt = True
            more = Write(
                key=write.key,
                address=write.address,
                shard=write.shard,
                at_us=write.at_us,
                reminders_set=[("more", FAR_US)],
            )
            writes = [*writes, more]
        await super().commit(writes, fences)

    spoilt = False


def test_a_store_that_writes_one_row_more_is_caught(tmp_path: Path) -> None:
    # Given the costs of a load,
    usual = counted("fan_out", lambda: CountingStore(tmp_path / "usual.db"))
    assert not failures(as_budget(usual), [usual])
    # when a store writes one row more,
    worse = counted("fan_out", lambda: OneRowMore(tmp_path / "worse.db"))
    # then the gate is shut, and names the figure.
    wrong = failures(as_budget(usual), [worse])
    assert "fan_out: rows_insert_reminders is 1 (0.002 a step) and has no budget yet" in wrong
    assert any(line.startswith("fan_out: statements rose from ") for line in wrong)


class OneByOne(CountingStore):
    """Commits each write by itself."""

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        for write in writes[:-1]:
            await super(CountingStore, self).commit([write], fences)
        await super().commit(writes[-1:], fences)


def test_a_store_that_flushes_more_than_once_for_a_group_is_beyond_the_limit(tmp_path: Path) -> None:
    found = counted("fan_out", lambda: OneByOne(tmp_path / "a.db"))
    assert any("flushes for" in line for line in beyond_limits([found]))


def test_a_wrong_result_is_an_error_and_no_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "WIDTH", 3)
    monkeypatch.setattr(counts, "sum", lambda numbers: 7, raising=False)
    with pytest.raises(BaseExceptionGroup) as caught:
        counted("fan_out", lambda: CountingStore(tmp_path / "a.db"))
    assert caught.group_contains(WrongResult)


def test_calls_are_those_of_the_engine_only() -> None:
    def a_function_of_ours() -> None:
        from_us(0)

    with calls_counted() as calls:
        a_function_of_ours()
        a_function_of_ours()
    assert calls.calls == 2
