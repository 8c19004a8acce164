"""Every error the actor layer raises on purpose, as a tree (`actors/store/errors.py` has the errors of stores).

PerdureError
├── MailboxFull                the caller sends faster than the actor works; try again later
│   └── WaitingRoomFull         the actor's shard is moving to another host, and many callers wait for it
├── HostNotRunning             the host has not been opened yet
├── ForeignThread              the caller is in another thread than the host
├── ForeignLoop                the caller is in another event loop of the host's thread
├── HostStopping               the host is shutting down; try again elsewhere or later
│   └── HostBroken              an error has ended the host
├── HostCancelled              the event loop of the host has ended before the host was stopped
├── NotOwner                   another host owns the actor's shard
├── RingUnknown                no host has the app of the actor
├── HostUnreachable            the host that owns the actor is away; try again later
│   ├── HostAwaited            the host has been away for as long as a caller waits
│   └── HostOverloaded         the host answers more slowly than requests come
├── HostLost                   the host that owns the actor went away before it answered
├── ActorStalled               the actor cannot be read, and takes nothing until it is purged or mended
├── HostSilent                 the host that owns the actor does not answer; try again later
├── CursorInvalid              a list cannot go on from there; begin at its start
├── FrameTooLong               a message is longer than hosts send to each other
├── PeerAddressNeeded          hosts on several machines, one of which has an address for its own machine only
├── PeerPortUnusable           a host cannot listen to other hosts at the address that it was given
└── ActorFailed                a bug in the actor's code, or a record that cannot be read
"""

from .address import Address
from .text import described


class PerdureError(Exception):
    """The root of every error that Perdure raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        # Users' programs copy errors between processes. By default unpickling calls the class with `args` alone.
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[PerdureError], args: tuple[object, ...], fields: dict[str, object]) -> PerdureError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class MailboxFull(PerdureError):
    """The mailbox of an actor has reached its limit of waiting messages."""

    def __init__(self, address: Address, *, messages_max: int) -> None:
        super().__init__(address, messages_max)
        self.address = address
        self.messages_max = messages_max

    def __str__(self) -> str:
        return (
            f"{self.address} has {self.messages_max} messages waiting, which is the limit "
            "(mailbox_messages_max). Send again later."
        )


class WaitingRoomFull(MailboxFull):
    """A shard is moving from one host to another, and no more callers may wait for it."""

    def __str__(self) -> str:
        return (
            f"{self.messages_max} messages wait for the shard of {self.address}, which is moving to another host, "
            "and that is the limit (waiting_messages_max). Send again later."
        )


class HostNotRunning(PerdureError):
    """The host has not been opened yet."""

    def __str__(self) -> str:
        return (
            "the engine is not running yet; nothing of this request was done. "
            "Use its client inside `async with Engine(app, data=...) as engine:`."
        )


class ForeignThread(PerdureError):
    """The caller is in another thread than the host. Nothing in the host is made for several threads."""

    def __str__(self) -> str:
        return (
            "the engine runs in another thread; nothing of this request was done. Use its client in the thread of its "
            "event loop; from a thread that anyio has started: anyio.from_thread.run(engine.client.start, workflow); "
            "from any other: asyncio.run_coroutine_threadsafe(engine.client.start(workflow), loop).result()."
        )


class ForeignLoop(PerdureError):
    """The caller is in another event loop of the host's thread: one of the two loops does not run."""

    def __str__(self) -> str:
        return (
            "the engine runs in another event loop of this thread, which stands still meanwhile; nothing of this "
            "request was done. Use its client in the event loop in which it was started. (pytest-asyncio: give the "
            "fixture and its tests the same loop_scope.)"
        )


class HostStopping(PerdureError):
    """The host takes no new work because it is shutting down."""

    def __str__(self) -> str:
        return "the host is shutting down; nothing of this request was done"


class HostBroken(HostStopping):
    """An error has ended the host."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(cause)
        self.cause = cause

    def __str__(self) -> str:
        return (
            f"the engine has ended because of {described(self.cause)}; nothing of this request was done. "
            "All acknowledged changes are in the store: start another engine on it."
        )


class HostCancelled(PerdureError):
    """The host's task was cancelled, as asyncio.run does at its end with all tasks that are left."""

    def __str__(self) -> str:
        return (
            "the engine was cancelled before it was stopped; the event loop in which it was started may have ended. "
            "Keep that loop running, and stop the engine in it: await engine.stop()."
        )


class NotOwner(PerdureError):
    """The actor's shard belongs to another host. Nothing was done."""

    def __init__(self, address: Address, *, shard: int, owner: str | None, epoch: int = 0) -> None:
        super().__init__(address, shard, owner, epoch)
        self.address = address
        self.shard = shard
        self.owner = owner  # None: this host knows no owner
        self.epoch = epoch  # of that owner

    def __str__(self) -> str:
        return f"{self.address} is in shard {self.shard}, which belongs to {self.owner or 'no host'}"


class RingUnknown(PerdureError):
    """As far as this host knows, no living host has the app of the actor. Nothing was done."""

    def __init__(self, ring: str) -> None:
        super().__init__(ring)
        self.ring = ring  # the app id; "" is the first app of the store

    def __str__(self) -> str:
        return f"no host has the app ID {self.ring!r}" if self.ring else "no host has the first app of this store"


class FrameTooLong(PerdureError):
    """A message is longer than hosts of a daemon send to each other. It was not sent."""

    def __init__(self, found: int, maximum: int) -> None:
        super().__init__(found, maximum)
        self.found = found
        self.maximum = maximum

    def __str__(self) -> str:
        return (
            f"this has {self.found:,} bytes, and hosts of a daemon send each other at most {self.maximum:,} at once. "
            "Store the data elsewhere, and pass where it is."
        )


class PeerAddressNeeded(PerdureError):
    """Hosts of one store are on several machines, and one of them listens at an address of its own machine only."""

    def __init__(self, address: str, *, other: str) -> None:
        super().__init__(address, other)
        self.address = address
        self.other = other  # the address of the other host

    def __str__(self) -> str:
        return (
            f"this host is to be reached at {self.address}, a host on another machine at {self.other}, and a loopback "
            "address is reached from its own machine only. Reach the database by an address of the network, or say by "
            "which address other hosts reach each one."
        )


class PeerPortUnusable(PerdureError):
    """A host cannot listen to other hosts at the address that it was given."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(host, port, reason)
        self.host = host
        self.port = port  # 0: any free one
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot listen to other hosts at {self.host}:{self.port}: {self.reason}."


class HostUnreachable(PerdureError):
    """The process of this daemon that owns the actor is away, and is being started again."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host

    def __str__(self) -> str:
        return f"{self.host}, which has the instance, is being started again; nothing of this request was done"


class HostAwaited(HostUnreachable):
    """For as long as a caller waits for an owner, no reachable host has owned the actor's shard."""

    def __init__(self, host: str | None, *, waited_s: float) -> None:
        super().__init__(host or "no host")
        self.args = (host, waited_s)
        self.waited_s = waited_s

    def __str__(self) -> str:
        owner = "no living host has the instance" if self.args[0] is None else f"{self.host}, which has it, is away"
        return f"{owner}, and that for {self.waited_s:g} s; nothing of this request was done. Send again later."


class HostOverloaded(HostUnreachable):
    """The host that owns the actor has reached the limit of requests of this host without an answer."""

    def __init__(self, host: str, *, unanswered: int) -> None:
        super().__init__(host)
        self.args = (host, unanswered)
        self.unanswered = unanswered

    def __str__(self) -> str:
        return (
            f"{self.host}, which has the instance, has not answered {self.unanswered:,} requests of this host, and is "
            "sent no more before it does; nothing of this request was done. Send again later."
        )


class HostLost(PerdureError):
    """The process of this daemon that owns the actor went away before it answered."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host

    def __str__(self) -> str:
        return f"{self.host}, which has the instance, went away before it answered; it may have happened"


class HostSilent(PerdureError):
    """The process of this daemon that owns the actor has not answered in time."""

    def __init__(self, host: str, *, waited_s: float) -> None:
        super().__init__(host, waited_s)
        self.host = host
        self.waited_s = waited_s

    def __str__(self) -> str:
        return f"{self.host}, which has the instance, has not answered in {self.waited_s:g} s; it may have happened"


class ActorFailed(PerdureError):
    """A turn broke, or the actor's rows in the store cannot be read. The log has the traceback."""

    def __init__(self, address: Address, cause: BaseException) -> None:
        super().__init__(address, cause)
        self.address = address
        self.cause = cause

    def __str__(self) -> str:
        return f"{self.address} could not take its turn: {described(self.cause)}"


class ActorStalled(PerdureError):
    """The actor's rows in the store cannot be read. Messages to it wait; it can be purged."""

    def __init__(self, address: Address, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.address} is stalled: {self.reason}. Nothing is written to it; it can be purged."


class CursorInvalid(PerdureError):
    """The cursor of a request does not belong to the requested list."""

    def __init__(self, cursor: str) -> None:
        super().__init__(cursor)
        self.cursor = cursor

    def __str__(self) -> str:
        return (
            f"the cursor {self.cursor[:80]!r} does not belong to this list: it must be the cursor of the page before, "
            "asked for in the same order and of the same daemon. Begin again without a cursor."
        )
