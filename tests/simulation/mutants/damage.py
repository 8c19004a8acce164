"""Mutants of the care for a file that rots: damaged rows are never served, and are tried three times."""

from typing import Any

import pytest

from perdure.actors.hosting.failures import Failures
from perdure.actors.hosting.unreadable import Unreadable
from perdure.actors.store.tables import checksums
from perdure.actors.turn import Turn

from .catalogue import mutant


@mutant("E13", kind="rotten")
def checksums_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    def unseal(blob: bytes, place: int, what: str, *, older: bool) -> bytes:
        return blob[checksums.SEALED_BYTES :]

    patch.setattr(checksums, "_unseal", unseal)


@mutant("E12", kind="rotten", within=20)
def an_instance_that_cannot_be_read_is_tried_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Failures, "TRIES", 1_000_000)


@mutant("E14", kind="rotten", standings=0)
def an_instance_that_cannot_be_read_cannot_be_purged(patch: pytest.MonkeyPatch) -> None:
    original = Unreadable.turn

    def turn(self: Unreadable, envelopes: Any, now_us: int) -> Turn:
        taken = original(self, envelopes, now_us)
        taken.delete = False
        return taken

    patch.setattr(Unreadable, "turn", turn)
