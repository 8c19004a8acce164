"""A heart beats while its host's loop lives, in a thread too, and reports the beats in order."""

import threading
import time

import anyio
import pytest

from perdure.actors.store.presence.beats import BEAT_S, SLOW_S, Beats, Heartbeat
from perdure.actors.store.presence.heart import BeatingHeart
from perdure.testing.virtual_time import run_virtually


class Beater:
    def __init__(self, *, hosts: int = 2) -> None:
        self.hosts = hosts
        self.took_s = 0.0
        self.fails = False
        self.timeline = "1"
        self.asked: list[bool] = []  # whether alone
        self.threads: set[str] = set()
        self.closed = threading.Event()

    async def beat(self, *, alone: bool) -> Beats:
        self.asked.append(alone)
        self.threads.add(threading.current_thread().name)
        await anyio.sleep(self.took_s)
        if self.fails:
            raise OSError("away")
        return Beats(alive=True, seen=dict.fromkeys(range(self.hosts), 1), version="", timeline=self.timeline)

    async def close(self) -> None:
        self.closed.set()


@pytest.mark.usefixtures("virtual_backend")
def test_it_beats_twice_a_second_and_tells_how_each_beat_went() -> None:
    async def story() -> None:
        beater = Beater()
        heart = BeatingHeart(beater, anyio.current_time(), threaded=False)
        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            group.start_soon(heart.run)
            await anyio.sleep(4.2 * BEAT_S)
            beats = heart.drain()
            assert [beat.sent_at - began for beat in beats] == pytest.approx([i * BEAT_S for i in range(5)])
            assert heart.drain() == []
            assert heart.sent_at == beats[-1].sent_at
            # A failed beat is reported, and does not count;
            beater.fails = True
            await anyio.sleep(BEAT_S)
            (beat,) = heart.drain()
            assert beat.beats is None
            assert heart.sent_at == beats[-1].sent_at
            # nor does one that takes too long.
            beater.fails, beater.took_s = False, SLOW_S + 0.1
            await anyio.sleep(BEAT_S + SLOW_S + 0.2)
            (beat,) = heart.drain()
            assert beat.answered_at - beat.sent_at > SLOW_S
            assert heart.sent_at == beats[-1].sent_at
            heart.stop()
        assert beater.closed.is_set()

    run_virtually(story)


@pytest.mark.usefixtures("virtual_backend")
def test_one_that_is_alone_only_reads_after_its_first_beat() -> None:
    async def story() -> None:
        beater = Beater(hosts=1)
        heart = BeatingHeart(beater, anyio.current_time(), threaded=False)
        async with anyio.create_task_group() as group:
            group.start_soon(heart.run)
            await anyio.sleep(2.2 * BEAT_S)
            beater.hosts = 2
            await anyio.sleep(2 * BEAT_S)
            heart.stop()
        assert beater.asked == [False, True, True, True, False]

    run_virtually(story)


@pytest.mark.usefixtures("virtual_backend")
def test_it_beats_no_more_for_a_loop_that_has_not_ticked() -> None:
    async def story() -> None:
        beater = Beater()
        heart = BeatingHeart(beater, anyio.current_time(), threaded=False)
        heart.stuck_after_s = 1.0
        async with anyio.create_task_group() as group:
            group.start_soon(heart.run)
            for _ in range(4):
                await anyio.sleep(BEAT_S)
                heart.tick(anyio.current_time())
            ticked = anyio.current_time()
            await anyio.sleep(5)
            assert heart.sent_at - ticked <= 1.0
            heart.tick(anyio.current_time())
            await anyio.sleep(2 * BEAT_S)
            assert heart.sent_at - ticked > 5.0
            heart.stop()

    run_virtually(story)


@pytest.mark.usefixtures("virtual_backend")
def test_a_beat_to_another_server_is_told_and_does_not_count() -> None:
    async def story() -> None:
        beater = Beater()
        heart = BeatingHeart(beater, anyio.current_time(), threaded=False)
        async with anyio.create_task_group() as group:
            group.start_soon(heart.run)
            await anyio.sleep(1.2 * BEAT_S)
            sent_at = heart.sent_at
            beater.timeline = "2"
            await anyio.sleep(2 * BEAT_S)
            assert heart.sent_at == sent_at
            assert [beat.beats.timeline for beat in heart.drain() if beat.beats is not None] == ["1", "1", "2", "2"]
            heart.stop()

    run_virtually(story)


def test_in_a_thread_it_beats_while_the_loop_is_held_up() -> None:
    async def story() -> tuple[list[Heartbeat], Beater]:
        beater = Beater()
        heart = BeatingHeart(beater, anyio.current_time(), threaded=True)
        async with anyio.create_task_group() as group:
            group.start_soon(heart.run)
            await anyio.sleep(0.1)
            time.sleep(3 * BEAT_S)  # noqa: ASYNC251  as a turn that does not give the loop back
            beats = list(heart.drain())
            # The clock of the thread is that of the loop.
            assert 0 <= anyio.current_time() - heart.sent_at <= 2 * BEAT_S
            group.cancel_scope.cancel()
        return beats, beater

    beats, beater = anyio.run(story, backend="asyncio")
    assert len(beats) >= 3
    assert all(beat.beats is not None for beat in beats)
    assert beater.threads == {"perdure beat"}
    assert beater.closed.wait(5)
