"""The host: one process in which actors live.

The one law: an actor takes one turn at a time, turns do not wait, and what a
turn wants done is done after its commit. The host moves messages between
mailboxes and runs turns; deciding is the actors' business, durability the
committer's.
"""

import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import anyio
from anyio.abc import TaskGroup

from ..address import Address
from ..clock import Clock
from ..cluster.membership import Membership, name_of
from ..cluster.outbound import Outbound
from ..cluster.peers import Peers
from ..cluster.placement import Ownership, Placement
from ..errors import ActorFailed, HostStopping, PerdureError
from ..reminders.loop import ReminderLoop
from ..reminders.window import ReminderWindow
from ..store.contract import Inspection, Reminder, Store, Stored
from ..store.errors import StoreError, StoreFailed
from ..turn import RECOVER, ActorType, Envelope, Receipt, ReminderDue
from ..waiting.reply import Reply
from ..waiting.signal import Signal
from ..waiting.taskless import no_current_task
from ..waiting.watch import Watch
from .activation import Activation, Activations
from .committer import Committer, TakenTurn
from .inspector import Inspector
from .loader import Loader

logger = logging.getLogger(__name__)

Route = Callable[[Address, Any], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLimits:
    """How much a host may hold."""

    activations_max: int = 10_000
    mailbox_messages_max: int = 10_000
    reminders_max: int = 10_000


class Host:
    """Runs actors of the given types on a store.

    Args:
        types: Virtual actors: durable, one turn at a time.
        routes: Where messages to other types of address go, after the commit
            of the turn that sends them: actors that wait, and keep nothing.
        peers: The other hosts of the daemon, if there are any.
    """

    # Turns run for no longer than this before connections and timers get a look in.
    TURNS_SLICE_S = 0.005
    # Pause before what a failing store broke is tried again: doubled up to the maximum.
    RETRY_MIN_S = 0.1
    RETRY_MAX_S = 5.0
    FAILED_MAX_S = 300.0  # the longest pause for an actor that fails by itself
    # How many actors are woken at once after a restart.
    RECOVERY_BATCH = 512
    # How long actors may go on among themselves after the last request, on a stop. What they leave is durable.
    STOP_S = 2.0

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        types: Mapping[str, ActorType],
        routes: Mapping[str, Route],
        name: str = "local",
        limits: HostLimits | None = None,
        peers: Peers | None = None,
    ) -> None:
        limits = limits or HostLimits()
        self.store = store
        self._peers = peers
        self.placement = Placement(name)
        self._clock = clock
        self._types = types
        self._routes = routes
        self._limits = limits
        self._activations = Activations(limits.activations_max)
        self._runnable: deque[Activation] = deque()
        self._work = Signal()
        self._watches: dict[Address, list[Watch]] = {}
        self._loader = Loader(store, types, loaded=self._loaded, failed=self._not_loaded)
        self._inspector = Inspector(store)
        self._committer = Committer(store, self.placement, release=self._release, undo=self._undo)
        window = ReminderWindow(limits.reminders_max)
        self._reminders = ReminderLoop(store, clock, window, fire=self._fire, room=self._loader.room)
        self._parked: list[tuple[float, Activation]] = []  # when to try again (event loop's clock), what
        self._parking = Signal()
        self._pause_s = self.RETRY_MIN_S
        self._unrecovered: dict[Address, None] = {}  # were in flight when the last host ended; in order
        self._latest_us = 0
        self._stopping = False
        self._halted = False  # no more turns are taken
        self.turns = 0
        if peers is not None:
            peers.answer_async("inspect", self.inspect)
            peers.answer_async("read", self.read)
            peers.answer_async("ids", self._own_ids)

    # What others use.

    async def open(self) -> None:
        """Take the store, and learn what was in flight when its last host ended.

        Raises:
            StoreError: It cannot be had; nothing is left open.
        """
        await self.store.open()
        try:
            epochs = await self.store.claim(self.placement.host, now_us=self._clock.now_us())
            self.placement.claimed(epochs, shards=self.store.shards)
            if self._peers is not None:
                self._place_peers(self._peers.membership)
            # Before anybody can reach an actor: it must recover before it does anything else.
            self._unrecovered = dict.fromkeys(await self.store.active())
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.store.close()
            raise

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Pick up what was in flight, and run until the block ends; then drain, and close the store."""
        try:
            async with AsyncExitStack() as stack:
                if self._peers is not None:
                    await stack.enter_async_context(self._peers.running(self, self._acknowledge))
                tasks = await stack.enter_async_context(anyio.create_task_group())
                self._start(tasks)
                try:
                    yield
                    await self._stop()
                finally:
                    self._stopping = True
                    self._wake_watchers()
                    tasks.cancel_scope.cancel()
        finally:
            self._dismiss()
            with anyio.CancelScope(shield=True):
                await self.store.close()

    @property
    def healthy(self) -> bool:
        """Whether the host takes work and its store takes writes."""
        return not self._stopping and not self._committer.failing

    @property
    def activations(self) -> int:
        """How many actors are in memory."""
        return len(self._activations)

    @property
    def commits(self) -> int:
        """How many groups were committed since the start."""
        return self._committer.commits

    def refuse(self) -> None:
        """Take no more requests. What actors send each other still goes on."""
        self._stopping = True
        self._wake_watchers()

    async def ask(self, address: Address, body: Any, *, new: bool = False) -> Any:
        """Send a message and wait for its reply, which comes after the commit of the turn that gave it.

        Args:
            new: The caller has just made the address up, so nothing can be stored under it.

        Raises:
            HostStopping, HostUnreachable, MailboxFull, NotOwner, StoreError, ActorFailed: Nothing was done.
            HostLost: The actor is another host's, which went away: it may have happened.
            PerdureError: Whatever the actor answered.
        """
        if self._stopping:
            raise HostStopping
        reply = Reply()
        self._ask(address, Envelope(body, reply), new=new)
        return await reply.wait()

    def send(self, address: Address, body: Any) -> None:
        """Send a message that nobody waits for. It is lost in a crash, so the sender must be able to send it again."""
        route = self._routes.get(address.type)
        if route is not None:
            route(address, body)
        else:
            self._deliver(address, Envelope(body))

    async def inspect(self, address: Address) -> Inspection | None:
        """Read the outside of an actor as last committed, without activating it."""
        activation = self._activations.peek(address)
        if activation is not None and activation.outside is not None:
            return activation.outside
        if (owner := self._elsewhere(address)) is not None:
            return await owner.inspect(address)
        self.placement.locate(address)
        return await self._inspector.inspect(address)

    async def read(self, address: Address) -> Stored | None:
        """Read all that the store holds of an actor, without activating it."""
        if (owner := self._elsewhere(address)) is not None:
            return await owner.read(address)
        self.placement.locate(address)
        return (await self.store.load([address]))[0]

    @contextmanager
    def watch(self, address: Address) -> Iterator[Watch]:
        """Be told of each commit that changes the actor's record, and when the host stops."""
        if (owner := self._elsewhere(address)) is not None:
            with owner.watch(address) as watch:
                yield watch
            return
        watch = Watch()
        self.add_watch(address, watch)
        try:
            yield watch
        finally:
            self.remove_watch(address, watch)

    def add_watch(self, address: Address, watch: Watch) -> None:
        self._watches.setdefault(address, []).append(watch)

    def remove_watch(self, address: Address, watch: Watch) -> None:
        watches = self._watches[address]
        watches.remove(watch)
        if not watches:
            del self._watches[address]

    async def ids(self, actor_type: str, *, after: str | None, limit: int) -> list[str]:
        """List ids of actors of a type, of all hosts, as a store does."""
        ids = await self._own_ids(actor_type, after, limit)
        if self._peers is None:
            return ids
        return sorted(chain(ids, *await self._peers.ask_all("ids", actor_type, after, limit)))[:limit]

    @property
    def stopping(self) -> bool:
        return self._stopping

    async def _own_ids(self, actor_type: str, after: str | None, limit: int) -> list[str]:
        return await self.store.ids(actor_type, after=after, limit=limit)

    # Starting and stopping.

    def _start(self, tasks: TaskGroup) -> None:
        for loop in (
            self._committer.run,
            self._loader.run,
            self._inspector.run,
            self._take_turns,
            self._unpark,
            self._reminders.run,
        ):
            tasks.start_soon(loop)
        tasks.start_soon(self._recover)

    async def _recover(self) -> None:
        """Wake what had work in flight when the last host of this store ended."""
        while self._unrecovered:
            for address in list(islice(self._unrecovered, self.RECOVERY_BATCH)):
                self._activate(address)
            while len(self._loader) > 0:  # noqa: ASYNC110  milliseconds, once
                await anyio.sleep(0.001)

    async def _stop(self) -> None:
        """Take the turns that can be taken, and leave true marks behind."""
        self._stopping = True
        self._wake_watchers()
        with anyio.move_on_after(self.STOP_S):
            while self._runnable or not self._committer.idle or len(self._loader) > 0:
                if self._committer.failing:
                    break  # nothing more can be saved; what is durable will be picked up
                await anyio.sleep(0.001)
        self._halted = True
        if self._committer.failing:
            return
        for activation in self._activations:
            if activation.idle and activation.active and not activation.in_flight:
                self._committer.retire(activation, self.now_us())
        await self._committer.drain()

    def _dismiss(self) -> None:
        """Answer whoever still waits when the host has ended, however it did."""
        self._inspector.close()
        for taken in self._committer.unfinished():
            error = StoreFailed("the host stopped while this was being written; it may have happened")
            for envelope in taken.envelopes:
                _refuse(envelope, error)
        for activation in (*self._activations, *(parked for _, parked in self._parked)):
            for envelope in activation.take():
                _refuse(envelope, HostStopping())
            if activation.actor is not None:
                with no_current_task():
                    activation.actor.close()

    # Messages in.

    def receive(self, address: Address, envelope: Envelope, *, new: bool = False) -> None:
        """Take a message from another host of the daemon.

        Args:
            new: As for `ask`.
        """
        try:
            if self._stopping and envelope.reply is not None:
                raise HostStopping
            self._ask(address, envelope, new=new)
        except PerdureError as error:
            _refuse(envelope, error)

    def _ask(self, address: Address, envelope: Envelope, *, new: bool) -> None:
        if not new:
            self._deliver(address, envelope)
        elif (owner := self._elsewhere(address)) is not None:
            owner.deliver(address, envelope, new=True)
        else:
            self._begin(address)
            self._deliver(address, envelope)

    def _elsewhere(self, address: Address) -> Outbound | None:
        """The other host that owns an actor; None if it is this one."""
        if self._peers is None or (owner := self.placement.elsewhere(address)) is None:
            return None
        return self._peers.outbound(owner)

    def _deliver(self, address: Address, envelope: Envelope) -> None:
        activation = self._activations.get(address)
        if activation is None:
            if (owner := self._elsewhere(address)) is not None:
                owner.deliver(address, envelope)
                return
            activation = self._activate(address)
        activation.accept(envelope, messages_max=self._limits.mailbox_messages_max)
        if activation.actor is not None and not activation.runnable:
            self._make_runnable(activation)

    def _activate(self, address: Address) -> Activation:
        """Begin to bring an actor into memory."""
        activation = Activation(address, self.placement.locate(address))
        if address in self._unrecovered:
            del self._unrecovered[address]
            activation.mailbox.append(Envelope(RECOVER))
        self._activations.add(activation)
        self._loader.add(activation)
        return activation

    def _begin(self, address: Address) -> None:
        """Bring an actor into memory of which the store has nothing."""
        activation = Activation(address, self.placement.locate(address))
        activation.actor = self._types[address.type].activate(address, None)
        self._activations.add(activation)

    def _make_runnable(self, activation: Activation) -> None:
        activation.runnable = True
        self._runnable.append(activation)
        self._work.set()

    def _loaded(self, activation: Activation) -> None:
        if activation.mailbox:
            self._make_runnable(activation)

    def _fire(self, reminder: Reminder) -> None:
        self._deliver(reminder.address, Envelope(ReminderDue(reminder.name, reminder.due_us)))

    # Turns.

    async def _take_turns(self) -> None:
        while True:
            await self._work.wait()
            while self._runnable and not self._halted:
                self._take_slice()
                if self._runnable:
                    await anyio.lowlevel.checkpoint()

    def _take_slice(self) -> None:
        """Take turns for a while, or until there are none."""
        ends_s = time.perf_counter() + self.TURNS_SLICE_S
        with no_current_task():
            while self._runnable and not self._halted:
                self._take_turn(self._runnable.popleft())
                if time.perf_counter() > ends_s:
                    return

    def _take_turn(self, activation: Activation) -> None:
        activation.runnable = False
        if activation.dropped:
            return
        assert activation.actor is not None
        envelopes = activation.take()
        now_us = self.now_us()
        try:
            turn = activation.actor.turn(envelopes, now_us)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            logger.exception("%s broke in its turn", activation.address)
            self._abandon(activation, envelopes, ActorFailed(activation.address, error))
            return
        self.turns += 1
        activation.failures = 0
        for address, _ in turn.messages:
            if address.type in self._types:
                activation.unacknowledged += 1
        self._committer.add(activation, turn, envelopes, now_us)
        for address, body in turn.early:
            self._routes[address.type](address, body)

    def now_us(self) -> int:
        """The time, never earlier than it was before: histories are in order even if the clock is set back."""
        self._latest_us = max(self._latest_us, self._clock.now_us())
        return self._latest_us

    # After the commit.

    def _release(self, group: Sequence[TakenTurn]) -> None:
        for taken in group:
            activation, turn = taken.activation, taken.turn
            activation.uncommitted -= 1
            for envelope in taken.envelopes:
                if envelope.sender is not None:
                    self._acknowledge(envelope.sender)
            for reply, answer in turn.replies:
                if isinstance(answer, BaseException):
                    reply.fail(answer)
                else:
                    reply.succeed(answer)
            for address, body in turn.messages:
                self._dispatch(activation, address, body)
            if taken.write is not None:
                self._announce(taken)
        self._evict()

    def _acknowledge(self, sender: Activation | Receipt) -> None:
        """A message of this actor is durable where it went."""
        if not isinstance(sender, Activation):
            sender.give()
            return
        sender.unacknowledged -= 1
        if sender.quiet and sender.active and not sender.in_flight and not sender.dropped:
            self._committer.retire(sender, self.now_us())

    def _dispatch(self, sender: Activation, address: Address, body: Any) -> None:
        route = self._routes.get(address.type)
        if route is not None:
            route(address, body)
        else:
            self._deliver(address, Envelope(body, None, sender))

    def _announce(self, taken: TakenTurn) -> None:
        """Tell the reminder loop and the watchers what a commit changed."""
        write = taken.write
        assert write is not None
        if taken.turn.earlier:
            taken.activation.outside = None
        else:
            taken.activation.committed(write, creates=taken.creates)
        for name, due_us in write.reminders_cleared:
            self._reminders.clear(Reminder(due_us, write.key, name, write.address))
        for name, due_us in write.reminders_set:
            self._reminders.set(Reminder(due_us, write.key, name, write.address))
        if write.record is not None or write.delete:
            for watch in self._watches.get(write.address, ()):
                watch.committed(write.record, deleted=write.delete)

    def _place_peers(self, membership: Membership) -> None:
        """Take note of what the other hosts own, for the life of the daemon."""
        for shard in range(self.store.shards):
            if (owner := membership.owner(shard)) != membership.index:
                self.placement.lost(shard, Ownership(host=name_of(owner), epoch=0))

    def _wake_watchers(self) -> None:
        if self._peers is not None:
            self._peers.wake_watchers()
        for watches in self._watches.values():
            for watch in watches:
                watch.wake()

    def _evict(self) -> None:
        with no_current_task():
            for activation in self._activations.surplus():
                if activation.active and not activation.in_flight:
                    # The mark goes first; the activation follows when that is durable.
                    self._committer.retire(activation, self.now_us())
                else:
                    self._remove(activation)

    def _remove(self, activation: Activation) -> None:
        """Let an actor go. Outside of any task: it may run somebody's code."""
        self._activations.remove(activation)
        if activation.actor is not None:
            activation.actor.close()

    # When something fails.

    def _undo(self, void: Sequence[TakenTurn], error: StoreError) -> None:
        """Forget the activations whose turns did not become durable, and give them their messages again."""
        again: dict[int, tuple[Activation, list[Envelope]]] = {}
        for taken in void:
            taken.activation.uncommitted -= 1
            _, envelopes = again.setdefault(id(taken.activation), (taken.activation, []))
            envelopes.extend(taken.envelopes)
        for activation, envelopes in again.values():
            self._abandon(activation, envelopes, error)

    def _abandon(self, activation: Activation, envelopes: Sequence[Envelope], error: PerdureError) -> None:
        """Drop an activation. Callers get the error; what nobody waits for is delivered again later."""
        kept = [envelope for envelope in envelopes if not _refuse(envelope, error)]
        if activation.dropped:
            # A later turn of it broke while this one was being written; its successor waits for that.
            successor = self._activations.get(activation.address) or self._activate(activation.address)
            successor.mailbox[:0] = kept
            return
        activation.dropped = True
        with no_current_task():
            self._remove(activation)
        successor = Activation(activation.address, activation.shard)
        successor.predecessor = activation
        successor.failures = activation.failures
        # In the table at once, so that later messages queue up behind.
        self._activations.add(successor)
        successor.mailbox.extend(kept)
        successor.mailbox.extend(activation.mailbox)
        activation.mailbox.clear()
        self._park(successor, error)

    def _not_loaded(self, activation: Activation, error: PerdureError) -> None:
        waiting = activation.take()
        activation.mailbox.extend(envelope for envelope in waiting if not _refuse(envelope, error))
        self._park(activation, error)

    def _park(self, activation: Activation, error: PerdureError) -> None:
        """Set aside what could not be loaded or committed, to try again after a pause."""
        if not activation.mailbox and not activation.awaits_predecessor:
            activation.dropped = True
            self._activations.remove(activation)
            return
        pause_s = self._pause_s
        if isinstance(error, ActorFailed):
            # A bug, or an unreadable row: it will most likely fail again.
            pause_s = min(self.RETRY_MAX_S * 2**activation.failures, self.FAILED_MAX_S)
            activation.failures += 1
        self._parked.append((anyio.current_time() + pause_s, activation))
        self._parking.set()

    async def _unpark(self) -> None:
        """Load again what was set aside."""
        while True:
            if not self._parked:
                await self._parking.wait()
            now = anyio.current_time()
            parked, self._parked = self._parked, []
            for due, activation in parked:
                if due > now:
                    self._parked.append((due, activation))
                elif activation.awaits_predecessor:
                    self._parked.append((now + self.RETRY_MIN_S, activation))
                else:
                    activation.predecessor = None
                    self._loader.add(activation)
            failing = self._committer.failing
            self._pause_s = min(2 * self._pause_s, self.RETRY_MAX_S) if failing else self.RETRY_MIN_S
            if self._parked:
                await self._parking.wait_for(min(due for due, _ in self._parked) - now)


def _refuse(envelope: Envelope, error: PerdureError) -> bool:
    """Answer a caller with an error; False if nobody waits."""
    if envelope.reply is None:
        return False
    if not envelope.reply.done():
        envelope.reply.fail(error)
    return True
