"""Every error the actor layer raises on purpose, as a tree.

PerdureError
├── StoreError                 the disk's fault, or the disk is somebody else's
│   ├── StoreLocked            another process has the file
│   ├── StoreTooNew            a newer release wrote the file
│   ├── StoreDivided           the file is another part of a store than the one asked for
│   ├── StoreFailed            a read or a write did not work; try again later
│   └── StoreFenced            another host owns the shard now
├── MailboxFull                the caller sends faster than the actor works; try again later
├── HostStopping               the host is shutting down; try again elsewhere or later
├── NotOwner                   another host owns the actor's shard
├── HostUnreachable            another host of this daemon owns it, and is away; try again later
├── HostLost                   another host of this daemon owns it, and went away before it answered
└── ActorFailed                our own bug, or a record that cannot be read
"""

import logging

from .address import Address
from .store.part import Part

logger = logging.getLogger(__name__)


class PerdureError(Exception):
    """The root of every error that Perdure raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        # Between the hosts of a daemon. By default the class would be called with `args` alone.
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[PerdureError], args: tuple[object, ...], fields: dict[str, object]) -> PerdureError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class StoreError(PerdureError):
    """The store refused, or could not do, what was asked of it."""


class StoreLocked(StoreError):
    """Another process holds the store."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return (
            f"{self.path} is in use by another Perdure process. "
            "Stop that process, or give this one a file of its own with --data."
        )


class StoreTooNew(StoreError):
    """The file was written by a newer release than this one."""

    def __init__(self, path: str, *, found: int, known: int) -> None:
        super().__init__(path, found, known)
        self.path = path
        self.found = found
        self.known = known

    def __str__(self) -> str:
        return (
            f"{self.path} has store version {self.found}, and this release of Perdure knows versions up to "
            f"{self.known}. Install a newer release; this one would not keep what it cannot read."
        )


class StoreDivided(StoreError):
    """The file holds another part of a store than the one that was asked for."""

    def __init__(self, path: str, *, found: Part, asked: Part) -> None:
        super().__init__(path, found, asked)
        self.path = path
        self.found = found
        self.asked = asked

    def __str__(self) -> str:
        if self.found.of == self.asked.of:
            return (
                f"{self.path} is {self.found}, and should be {self.asked}. "
                "Its files have each other's names: give them back their own, the first part that without a number."
            )
        return (
            f"{self.path} is {self.found}: start with --processes {self.found.of}, "
            f"or lay the store out anew with `perdure store spread --processes {self.asked.of}`."
        )


class StoreFailed(StoreError):
    """A read or a write did not work. What was asked has not happened."""


def as_store_error(error: Exception, what: str) -> StoreError:
    """Take an exception of a store for what it is; one that breaks the store's contract must not end the host."""
    if isinstance(error, StoreError):
        return error
    logger.error("the store broke while %s", what, exc_info=error)
    return StoreFailed(f"the store broke while {what}: {error!r}")


class StoreFenced(StoreError):
    """A commit carried an epoch that is no longer the shard's: another host owns it."""

    def __init__(self, shard: int, *, expected: int, found: int | None) -> None:
        super().__init__(shard, expected, found)
        self.shard = shard
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"shard {self.shard} is at epoch {self.found}, this host owned it at epoch {self.expected}"


class MailboxFull(PerdureError):
    """An actor has as many messages waiting as it may have."""

    def __init__(self, address: Address, *, messages_max: int) -> None:
        super().__init__(address, messages_max)
        self.address = address
        self.messages_max = messages_max

    def __str__(self) -> str:
        return (
            f"{self.address} has {self.messages_max} messages waiting, which is the limit "
            "(mailbox_messages_max). Send again later."
        )


class HostStopping(PerdureError):
    """The host takes no new work because it is shutting down."""

    def __str__(self) -> str:
        return "the host is shutting down; nothing of this request was done"


class NotOwner(PerdureError):
    """The actor's shard belongs to another host."""

    def __init__(self, address: Address, *, shard: int, owner: str | None) -> None:
        super().__init__(address, shard, owner)
        self.address = address
        self.shard = shard
        self.owner = owner

    def __str__(self) -> str:
        return f"{self.address} is in shard {self.shard}, which belongs to {self.owner or 'no host'}"


class HostUnreachable(PerdureError):
    """The process of this daemon that owns the actor is away, and is being started again."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host

    def __str__(self) -> str:
        return f"{self.host}, which has the instance, is being started again; nothing of this request was done"


class HostLost(PerdureError):
    """The process of this daemon that owns the actor went away before it answered."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host

    def __str__(self) -> str:
        return f"{self.host}, which has the instance, went away before it answered; it may have happened"


class ActorFailed(PerdureError):
    """A turn broke, or what the store holds of an actor cannot be read. The log has the traceback."""

    def __init__(self, address: Address, cause: BaseException) -> None:
        super().__init__(address, cause)
        self.address = address
        self.cause = cause

    def __str__(self) -> str:
        return f"{self.address} could not take its turn: {type(self.cause).__name__}: {self.cause}"
