"""An entry exists while its gate lists it, and its items are passed on until the gate has answered."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import anyio
import pytest

from perdure.actors.cluster.method import HostMethod
from perdure.actors.errors import FrameTooLong, HostLost, HostSilent, HostUnreachable, PerdureError
from perdure.actors.waiting.signal import Signal
from perdure.runtime.workers.dispatcher import Dispatcher
from perdure.runtime.workers.hosts.entries import AGAIN_S, BYTES_MAX, KEPT_S, WorkerEntries
from perdure.runtime.workers.hosts.wire import CHANGED, ITEMS, STREAMS, StreamCard, StreamList
from perdure.runtime.workers.items import ActivityItem, PassedItem, Worker, WorkItem
from perdure.runtime.workers.stream import Stream, StreamRoom
from perdure.testing.virtual_time import run_virtually

from ....support.workflows.scripted_peers import ScriptedPeers


class LoneStream:
    """A stream of a dispatcher, with the items that a test puts into it."""

    def __init__(self, worker: Worker, room: StreamRoom, gate: str) -> None:
        self.worker, self.room, self.gate = worker, room, gate
        self.id = ""
        self.parked = False
        self._items: list[Sequence[WorkItem]] = []
        self._more = Signal()

    def put(self, items: Sequence[WorkItem]) -> None:
        self._items.append(items)
        self._more.set()

    async def take(self, most: int) -> Sequence[WorkItem]:
        while not self._items:
            await self._more.wait()
        return self._items.pop(0)


class Bench:
    """The entries of a host, and the streams that they have in its dispatcher. It is the dispatcher, and the writer.

    Attributes:
        told: The streams that gates have.
        passed: The instances of each delivery.
        fates: What becomes of the next deliveries: an error, or whether the stream is there; afterwards it is.
        ended: The ids of entries that have ended, in order.
    """

    def __init__(self, *gates: str, writes: bool = True) -> None:
        self.peers = ScriptedPeers(self.hear, *gates)
        self.told: dict[str, Callable[[], StreamList]] = {}
        self.passed: list[list[str]] = []
        self.fates: list[Callable[[], bool]] = []
        self.streams: dict[str, LoneStream] = {}
        self.ended: list[str] = []
        self.bytes = 1  # of an item
        self.entries = WorkerEntries(
            cast(Dispatcher, self),
            self.peers.peers,
            writer=lambda: self if writes else None,
            chance=bytes,
        )

    def hear(self, gate: str, method: HostMethod, arguments: tuple[Any, ...]) -> Any:
        if method is STREAMS:
            return self.told[gate]()
        assert method is ITEMS
        items: Sequence[PassedItem] = arguments[-1]
        self.passed.append([item.instance_id for item in items])
        return self.fates.pop(0)() if self.fates else True

    def new_stream(self, worker: Worker, room: StreamRoom, gate: str) -> LoneStream:
        return LoneStream(worker, room, gate)

    def add(self, stream: Stream) -> None:
        self.streams[stream.id] = cast(LoneStream, stream)

    def remove(self, stream: Stream) -> None:
        del self.streams[stream.id]
        self.ended.append(stream.id)

    def pump(self) -> None:
        """Do nothing: there is no work to share out."""

    def write(self, item: WorkItem, *, stateful: bool) -> bytes:
        return bytes(self.bytes)

    def forget(self, instance_id: str) -> None:
        """Do nothing: it keeps nothing."""

    def pass_on(self, stream_id: str, *instances: str) -> None:
        items = [ActivityItem(instance, 1, "run", "step", None, f"token-{instance}") for instance in instances]
        self.streams[stream_id].put(items)


def listed(number: int, *ids: str) -> StreamList:
    return StreamList(
        number, [StreamCard(each, "peer", "agent", stateful=False, activities=2, turns=3) for each in ids]
    )


def fails(error: PerdureError) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


def story(tell: Callable[[Bench], Awaitable[None]], *, writes: bool = True) -> Bench:
    """Run a test of a host whose peer "gate" has the stream "s"."""
    bench = Bench("gate", writes=writes)
    bench.told["gate"] = lambda: listed(1, "s")

    async def told() -> None:
        async with anyio.create_task_group() as tasks:
            await tasks.start(bench.entries.run)
            bench.peers.connect("gate")
            await anyio.sleep(AGAIN_S)
            await tell(bench)
            tasks.cancel_scope.cancel()

    run_virtually(told)
    return bench


async def soon() -> None:
    await anyio.sleep(2 * AGAIN_S)


def test_a_stream_of_a_gate_is_one_of_the_dispatcher_until_the_gate_has_it_no_more() -> None:
    async def tell(bench: Bench) -> None:
        assert list(bench.streams) == ["s"]
        assert bench.streams["s"].room == StreamRoom(2, 3)
        # A list that is older changes nothing, the next one does.
        await bench.peers.answers[CHANGED.name]("gate", listed(0, "of long ago"))
        assert list(bench.streams) == ["s"]
        await bench.peers.answers[CHANGED.name]("gate", listed(2, "t"))
        assert list(bench.streams) == ["t"]

    assert story(tell).ended == ["s"]


@pytest.mark.parametrize("error", [HostUnreachable("gate"), HostLost("gate"), HostSilent("gate", waited_s=1)])
def test_a_gate_that_does_not_answer_is_asked_again(error: PerdureError) -> None:
    async def tell(bench: Bench) -> None:
        answers: list[Callable[[], Any]] = [fails(error), lambda: listed(5, "t")]

        def tell_next() -> StreamList:
            found: StreamList = answers.pop(0)()
            return found

        bench.told["gate"] = tell_next
        bench.peers.connect("gate")
        await soon()
        assert list(bench.streams) == ["t"]

    story(tell)


def test_a_gate_that_cannot_tell_of_its_workers_is_given_no_jobs(caplog: pytest.LogCaptureFixture) -> None:
    async def tell(bench: Bench) -> None:
        bench.peers.come_and_go("gate", "old")
        bench.told["old"] = fails(PerdureError("no such method"))
        bench.peers.connect("old")
        await soon()
        assert bench.peers.called.count(("old", STREAMS.name)) == 1

    story(tell)
    assert "old does not announce its workers, and gets no jobs for them: no such method" in caplog.text


def test_a_host_that_cannot_write_items_uses_no_workers_of_others() -> None:
    async def tell(bench: Bench) -> None:
        assert bench.peers.called == [("gate", STREAMS.name)]
        assert not bench.streams

    story(tell, writes=False)


def test_a_gate_that_is_away_keeps_its_jobs_for_a_while() -> None:
    async def tell(bench: Bench) -> None:
        bench.peers.lose("gate")
        assert bench.streams["s"].parked
        await anyio.sleep(KEPT_S / 2)
        bench.peers.connect("gate")
        await anyio.sleep(KEPT_S)
        assert not bench.streams["s"].parked
        # When it does not come again, its items go to others.
        bench.peers.lose("gate")
        await anyio.sleep(KEPT_S + AGAIN_S)
        assert not bench.streams

    assert story(tell).ended == ["s"]


def test_items_are_sent_again_until_the_gate_has_answered() -> None:
    async def tell(bench: Bench) -> None:
        bench.fates = [fails(HostUnreachable("gate")), fails(HostLost("gate"))]
        bench.pass_on("s", "a", "b")
        bench.pass_on("s", "c")
        await anyio.sleep(1)

    bench = story(tell)
    assert bench.passed == [["a", "b"], ["a", "b"], ["a", "b"], ["c"]]
    assert not bench.ended


def test_items_with_many_bytes_go_in_several_deliveries_and_one_that_is_too_long_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def tell(bench: Bench) -> None:
        bench.bytes = BYTES_MAX // 2
        bench.fates = [fails(FrameTooLong(9, 8))]
        bench.pass_on("s", *"abcde")
        await anyio.sleep(1)

    bench = story(tell)
    assert bench.passed == [["a", "b"], ["c", "d"], ["e"]]
    assert "work for peer cannot be passed on to gate" in caplog.text
    assert not bench.ended


def test_an_entry_whose_stream_is_gone_ends() -> None:
    async def tell(bench: Bench) -> None:
        bench.fates = [lambda: False]
        bench.pass_on("s", "a")
        await soon()
        assert not bench.streams

    assert story(tell).ended == ["s"]


def test_an_entry_ends_that_waits_to_send_again_when_its_gate_is_gone() -> None:
    async def tell(bench: Bench) -> None:
        bench.fates = [fails(HostLost("gate"))]
        bench.pass_on("s", "a")
        await anyio.sleep(AGAIN_S / 2)
        bench.peers.names.clear()  # before it is notified of hosts that have come and gone
        await soon()
        bench.peers.come_and_go()

    assert story(tell).ended == ["s"]


def test_the_streams_of_a_gate_that_is_silent_are_asked_for_anew() -> None:
    async def tell(bench: Bench) -> None:
        bench.fates = [fails(HostSilent("gate", waited_s=1))]
        bench.pass_on("s", "a")
        await soon()
        # The entry has ended with its jobs, and another one is there for the same stream.
        assert list(bench.streams) == ["s"]
        bench.pass_on("s", "b")
        await soon()

    bench = story(tell)
    assert (bench.passed, bench.ended) == ([["a"], ["b"]], ["s"])


def test_an_entry_that_ends_while_its_gate_answers_ends_once() -> None:
    async def tell(bench: Bench) -> None:
        # Given a gate that is found dead in the moment in which it reports that the stream is gone,
        def answer() -> bool:
            bench.peers.come_and_go()
            return False

        bench.fates = [answer]
        # when an item is passed on,
        bench.pass_on("s", "a")
        await soon()
        # then the entry has ended, and this host continues: the gate comes again with the same stream.
        assert not bench.streams
        bench.peers.come_and_go("gate")
        bench.peers.connect("gate")
        await soon()
        assert list(bench.streams) == ["s"]

    assert story(tell).ended == ["s"]


def test_nothing_begins_while_the_host_does_not_run() -> None:
    bench = Bench("gate")
    bench.peers.connect("gate")
    bench.peers.come_and_go()
    assert not bench.peers.called
