"""Rows of the audit: their form on disk is pinned, and a row of another release is refused or read as far as known."""

import msgpack
import pytest

from perdure.runtime.history.attribution import EMBEDDED, OFFLINE, By
from perdure.runtime.history.audit import AuditAction, AuditEntry, audit_entry, pack_audit, row_of, unpack_audit
from perdure.runtime.history.row import CorruptHistory

BY = By("ada", "api", "a bad release", "op-1")
ROW = audit_entry(
    BY, AuditAction.PURGE, id="f" * 32, at_us=5, instance_id="i", execution_id="x1", source="s", detail="d"
)


def test_the_form_on_disk_does_not_change() -> None:
    assert msgpack.unpackb(pack_audit(ROW)) == [
        *(1, "f" * 32, 5, "ada", "api", "purge", "i", "x1", "a bad release", "op-1", "s", "d")
    ]
    assert unpack_audit(pack_audit(ROW)) == ROW


def test_the_row_of_the_store_can_be_looked_for_by_action_and_author() -> None:
    assert row_of(ROW) == ("purge", "ada", pack_audit(ROW))


def test_the_words_of_the_actions_do_not_change() -> None:
    assert {action.value for action in AuditAction} == {
        *("suspend", "resume", "terminate", "purge", "rerun", "repair", "import", "bulk", "set-aside", "release")
    }


def test_the_author_of_a_program_and_of_a_command_offline_are_named() -> None:
    assert (EMBEDDED.actor, EMBEDDED.door) == ("embedded", "embedded")
    assert (OFFLINE.actor, OFFLINE.door) == ("offline", "offline")


def test_a_row_of_a_later_release_is_read_as_far_as_it_is_known() -> None:
    later = msgpack.packb((1, *ROW, "new"))
    assert unpack_audit(later) == ROW


def test_a_row_of_an_earlier_release_may_lack_fields() -> None:
    earlier = msgpack.packb((1, *ROW[:6]))
    assert unpack_audit(earlier) == AuditEntry(*ROW[:6])


@pytest.mark.parametrize("packed", [msgpack.packb((2, *ROW)), b"\xc1", b"", msgpack.packb(7), msgpack.packb((1, "x"))])
def test_anything_but_a_row_is_refused(packed: bytes) -> None:
    with pytest.raises(CorruptHistory):
        unpack_audit(packed)
