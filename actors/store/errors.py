"""Every error that a store raises on purpose, as a tree (the root is in `actors/errors.py`).

PerdureError
└── StoreError                 the store refused a request, or could not fulfil it
    ├── StoreLocked            another process has the file
    │   └── StoreInUse         another living host has the store on this database
    ├── StoreTooNew            a newer release wrote the file
    ├── StoreDivided           the file is not the expected part of a store
    ├── StoreFailed            a read or a write did not work; try again later
    │   ├── StoreForeign       the file is a database of another program
    │   ├── StoreGone          the file was moved, deleted or replaced while this process had it
    │   ├── StoreTakenOver     this host may not write any more
    │   └── StoreHangs         a commit does not end; try again later
    ├── ListsUnfinished        lists are still being made from rows of an earlier release; try again later
    ├── StoreDamaged           the rows of an actor differ from the rows that were written
    ├── StoreUncertain         the store did not answer in time: the outcome of the request is unknown
    └── StoreFenced            another host owns the shard now

The rule: the text of an error names no flag of the command line, because a program that
embeds the engine has none. `daemon` adds the flag, from the fields of the error.
"""

import logging

from ..address import Address
from ..errors import (
    HostLost,
    HostSilent,
    HostStopping,
    HostUnreachable,
    MailboxFull,
    NotOwner,
    PerdureError,
    RingUnknown,
)
from .part import Part

logger = logging.getLogger(__name__)


class StoreError(PerdureError):
    """The store refused a request, or could not fulfil it."""


class StoreLocked(StoreError):
    """Another process holds the store."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path} is in use by another Perdure process."


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
    """The file holds another part of a store than expected."""

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
        return f"{self.path} is {self.found}, and {self.asked} was asked for."


class StoreFailed(StoreError):
    """A read or a write did not work. The request has not happened."""


class StoreForeign(StoreFailed):
    """The file is a database of another program. Nothing was changed."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path} is a database of another program."


class StoreGone(StoreFailed):
    """The file was moved, deleted or replaced while this process had it. Later writes are refused."""

    def __init__(self, path: str, how: str) -> None:
        super().__init__(path, how)
        self.path = path
        self.how = how

    def __str__(self) -> str:
        return (
            f"{self.path} {self.how} while this process was working on it, so nothing more is written. "
            "Stop this process, put the file back together with its -wal, and start again."
        )


class ListsUnfinished(StoreError):
    """The store was written by an earlier release, and does not have the facets of all actors yet.

    Attributes:
        done: The share of its actors whose facets it has, from 0 to 1.
    """

    def __init__(self, *, done: float) -> None:
        super().__init__(done)
        self.done = done

    def __str__(self) -> str:
        return (
            "lists and counts are still being made from what an earlier release has written "
            f"({self.done:.0%} are done). Ask again later; all else works meanwhile."
        )


class StoreDamaged(StoreError):
    """The rows of one actor differ from the rows that were written. No reader gets them; other actors are not affected.

    Attributes:
        key: The actor's key in the store, with which it can be deleted; None if the key cannot be read either.
    """

    def __init__(self, address: Address, reason: str, *, key: int | None = None) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason
        self.key = key

    @property
    def stall(self) -> str:
        """Why the actor is stalled, in a sentence that follows its name."""
        return f"its rows cannot be read: {self.reason}"

    def __str__(self) -> str:
        return (
            f"{self.address} is damaged in the store: {self.reason}. "
            "The disk or another program has changed the file. Restore the store from a backup, or purge this one; "
            "the others are not affected."
        )


def as_store_error(error: Exception, what: str) -> StoreError:
    """Turn any exception of a store into a `StoreError`: an exception outside its contract must not end the host.

    Args:
        what: The operation of the store, such as "loading".
    """
    if isinstance(error, StoreError):
        return error
    logger.error("the store broke while %s", what, exc_info=error)
    return StoreFailed(f"the store broke while {what}: {error!r}")


def sole_store_error(group: BaseExceptionGroup) -> BaseException:
    """The only error in a group, if it is a `StoreError` (closing a store may raise such a group); else the group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, StoreError) else group


class StoreHangs(StoreFailed):
    """A commit has been under way for too long, so no new work is taken."""

    def __init__(self) -> None:
        super().__init__("the disk does not answer: a commit has been under way for too long")

    def __str__(self) -> str:
        return f"{super().__str__()}. Nothing of this request was done; try again later."


class StoreFenced(StoreError):
    """A commit carried an old epoch of a shard: another host owns the shard."""

    def __init__(self, shard: int, *, expected: int, found: int | None) -> None:
        super().__init__(shard, expected, found)
        self.shard = shard
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"shard {self.shard} is at epoch {self.found}, this host owned it at epoch {self.expected}"


class StoreInUse(StoreLocked):
    """Another living host has the store on this database."""

    def __init__(self, path: str, *, name: str, release: str) -> None:
        super().__init__(path)
        self.args = (path, name, release)
        self.name = name
        self.release = release

    def __str__(self) -> str:
        return (
            f"{self.path} is in use by the host on {self.name} (Perdure {self.release}), which lives. "
            "This operation needs the store for itself: stop all its hosts first."
        )


class StoreTakenOver(StoreFailed):
    """This host may not write any more: another host has taken the store over, or the server has changed.

    Args:
        rejoins: Several hosts share the store, and this one joins the others again by itself, under another id.
    """

    def __init__(self, path: str, why: str, *, rejoins: bool = False) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why
        self.rejoins = rejoins

    def __str__(self) -> str:
        if self.rejoins:
            return (
                f"{self.path}: {self.why}. Nothing of this was written. "
                "All acknowledged changes are in the store, and this host joins the others again by itself."
            )
        return (
            f"{self.path}: {self.why}. Nothing more is written by this process. "
            "All acknowledged changes are in the store: stop this process, and start it again."
        )


class StoreUncertain(StoreError):
    """The store did not answer in time: the request has happened as a whole, or not at all.

    Not a `StoreFailed`: sending the request again may execute it twice.
    """

    def __init__(self, what: str, cause: str) -> None:
        super().__init__(what, cause)
        self.what = what
        self.cause = cause

    def __str__(self) -> str:
        return (
            f"{self.what} may have happened: the store did not answer in time ({self.cause}). "
            "Look before you repeat it."
        )


# After these errors a message to an actor was not taken, or the outcome is unknown. It is sent again, and its receiver
# takes it once.
SEND_AGAIN = (
    HostLost,
    HostSilent,
    HostStopping,
    HostUnreachable,
    MailboxFull,
    NotOwner,
    RingUnknown,
    StoreError,
)
