"""Reading an actor: from its rows to the values of the contract, with their checksums compared.

The rule: a damaged row makes its actor damaged, and no other actor.

`actors/store/sqlite/reading.py` and `actors/store/postgres/reading.py` read the rows.
"""

from collections.abc import Sequence
from typing import Any

from ...address import Address
from ..contract import Inspection, Stored
from ..errors import StoreDamaged
from ..listing import Facets
from .checksums import Damaged, Unsealed, unseal_ends, unseal_entry, unseal_record

LogRow = Sequence[Any]  # position, time, entry


def stored_of(
    address: Address,
    key: int,
    record: Any,
    log: Sequence[LogRow],
    unsealed: Unsealed,
    *,
    active: bool,
    facets: Facets | None,
) -> Stored | StoreDamaged:
    """A whole actor, or the error that it is damaged.

    Args:
        log: The rows of its log, in the order of their positions.
    """
    try:
        return Stored(
            key=key,
            record=unseal_record(key, address.type, address.id, record, unsealed),
            entries=tuple([unseal_entry(key, position, at_us, entry, unsealed) for position, at_us, entry in log]),
            active=active,
            facets=facets,
        )
    except Damaged as damage:
        return StoreDamaged(address, str(damage), key=key)


def inspection_of(
    address: Address, key: int, record: Any, ends: Sequence[Any], unsealed: Unsealed, *, facets: Facets | None
) -> Inspection | StoreDamaged:
    """The outside of an actor, or the error that it is damaged.

    Args:
        ends: As for `unseal_ends`.
    """
    try:
        first, last, updated_us = unseal_ends(key, ends, unsealed)
        return Inspection(
            record=unseal_record(key, address.type, address.id, record, unsealed),
            first=first,
            last=last,
            updated_us=updated_us,
            facets=facets,
        )
    except Damaged as damage:
        return StoreDamaged(address, str(damage), key=key)
