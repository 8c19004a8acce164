"""The counts of lines that were left out are written without a request, and the journal is not read before."""

import anyio
import pytest

from perdure.actors.hosting import left_out
from perdure.actors.hosting.left_out import LeftOut
from perdure.journal.journal import Journal
from perdure.journal.line import LogLine

pytestmark = pytest.mark.anyio

LINE = LogLine("refused", 30, "refused: {number}", burst=1)


class CountingJournal(Journal):
    """A journal that counts its reads."""

    looks = 0

    def flush(self, *, now: bool = False) -> bool:
        self.looks += 1
        return super().flush(now=now)


async def test_a_count_is_written_when_its_interval_is_over(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(left_out, "FLUSH_S", 0.001)
    now_s = 0.0
    journal = CountingJournal(interval_s=10, clock=lambda: now_s)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(LeftOut(journal).run)
        await anyio.wait_all_tasks_blocked()
        assert journal.looks == 0
        for number in range(3):
            journal.write(LINE, number=number)
        now_s = 11.0
        with anyio.fail_after(5):
            while len(caplog.messages) < 2:
                await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        looks = journal.looks
        await anyio.wait_all_tasks_blocked()
        assert journal.looks == looks
        tasks.cancel_scope.cancel()
    assert caplog.messages == ["refused: 0", "refused: 2 (2 such lines in 11 s)"]
