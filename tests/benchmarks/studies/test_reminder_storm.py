"""The reminder storm: bare actors that are written through the store, and whose reminders a host fires."""

from pathlib import Path

import pytest

from perdure.actors.clock import SystemClock
from perdure.actors.hosting.host import Host
from perdure.actors.store.sqlite.store import SqliteStore
from perdure.benchmarks.drivers.load import WrongResult
from perdure.benchmarks.studies import reminder_storm
from perdure.benchmarks.studies.reminder_storm import ALARM, NAME, Alarm, Alarms, lay_down

from ...support.benchmarks.results import performed

pytestmark = pytest.mark.anyio


async def test_every_reminder_of_a_storm_fires_and_is_gone(tmp_path: Path) -> None:
    outcome = await performed(tmp_path, "S5", instances=2_500)
    assert outcome.figures["instances"] == len(outcome.latencies_us) == 2_500
    assert 0 < outcome.figures["late_max_ms"] <= outcome.figures["elapsed_s"] * 1000


async def test_actors_are_laid_down_with_one_reminder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reminder_storm, "LAID_AT_ONCE", 2)
    store = SqliteStore(tmp_path / "perdure.db")
    host = Host(store, SystemClock(), types={ALARM: Alarms()}, routes={})
    await host.open()
    await lay_down(host, 5, due_us=7)
    found = await store.reminders(after=None, limit=10)
    await store.close()
    assert [(reminder.due_us, reminder.name) for reminder in found] == [(7, NAME)] * 5
    assert len({reminder.address for reminder in found}) == 5


async def test_a_reminder_that_is_left_behind_is_a_wrong_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given actors that do not clear their fired reminders,
    turn = Alarm.turn

    def forgetful(self: Alarm, *arguments: object) -> object:
        made = turn(self, *arguments)  # type: ignore[arg-type]
        made.reminders_cleared = []
        return made

    monkeypatch.setattr(Alarm, "turn", forgetful)
    # then the run is refused as no storm.
    with pytest.raises(ExceptionGroup) as group:
        await performed(tmp_path, "S5", instances=10)
    assert group.group_contains(WrongResult, match="no reminder")
