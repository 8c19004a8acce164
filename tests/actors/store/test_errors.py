"""The errors of stores name the fault and the remedy; their tree is in the docstring."""

import pickle
import re

import pytest

from perdure.actors.address import Address
from perdure.actors.errors import PerdureError
from perdure.actors.store import errors
from perdure.actors.store.errors import (
    SEND_AGAIN,
    StoreDamaged,
    StoreDivided,
    StoreError,
    StoreFailed,
    StoreFenced,
    StoreForeign,
    StoreGone,
    StoreInUse,
    StoreLocked,
    StoreTakenOver,
    StoreTooNew,
    StoreUncertain,
    as_store_error,
)
from perdure.actors.store.part import WHOLE, Part


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    of_others = [error for error in SEND_AGAIN if error is not StoreError]
    assert drawn == {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and value not in (PerdureError, *of_others)
    }
    assert all(issubclass(getattr(errors, name), StoreError) for name in drawn)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (StoreLocked("p.db"), r"^p.db is in use by another Perdure process\.$"),
        (StoreTooNew("p.db", found=9, known=1), "store version 9.*versions up to 1"),
        (
            StoreDivided("p.db", found=Part(0, 4), asked=WHOLE),
            r"^p.db is part 1 of 4, and part 1 of 1 was asked for\.$",
        ),
        (StoreDivided("p.db", found=Part(2, 4), asked=Part(0, 4)), "p.db is part 3 of 4, and should be part 1 of 4"),
        (StoreForeign("p.db"), r"^p.db is a database of another program\.$"),
        (
            StoreGone("p.db", "was moved"),
            "^p.db was moved while this process.*nothing more is written.*start again",
        ),
        (StoreDamaged(Address("wf", "a"), "no checksum"), "^wf/a is damaged in the store: no checksum.*purge this one"),
        (StoreInUse("postgresql://h/d", name="m", release="1"), r"in use by the host on m \(Perdure 1\), which lives"),
        (
            StoreTakenOver("postgresql://h/d", "another one has it"),
            "one has it. Nothing more is written by this process.*start it again",
        ),
        (
            StoreTakenOver("postgresql://h/d", "another one has it", rejoins=True),
            "one has it. Nothing of this was written.*joins the others again by itself",
        ),
        (StoreUncertain("a commit", "cut"), "^a commit may have happened.*Look before you repeat it"),
        (StoreFenced(3, expected=7, found=8), "shard 3 is at epoch 8.*epoch 7"),
    ],
)
def test_each_says_what_is_the_case(error: Exception, text: str) -> None:
    assert re.search(text, str(error))


@pytest.mark.parametrize(
    "error",
    [
        StoreFenced(3, expected=7, found=8),
        StoreDamaged(Address("wf", "a"), "why", key=4),
        StoreTakenOver("d", "why", rejoins=True),
    ],
)
def test_one_is_copied_as_it_was(error: Exception) -> None:
    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301  as users' programs do between their processes
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived).keys() == vars(error).keys()


def test_a_store_error_stays_what_it_is_and_anything_else_becomes_one() -> None:
    locked = StoreLocked("p.db")
    assert as_store_error(locked, "opening") is locked
    broke = as_store_error(KeyError("x"), "loading")
    assert isinstance(broke, StoreFailed)
    assert "while loading" in str(broke)
