"""An error of the actor layer is the same at another host; any other error becomes a text. None runs code."""

import inspect
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from perdure.actors.address import Address
from perdure.actors.cluster.error_form import ErrorForm, ErrorForms, ToldError
from perdure.actors.cluster.vocabulary import ERRORS
from perdure.actors.errors import ActorFailed, HostStopping, MailboxFull, PerdureError
from perdure.actors.store.errors import StoreDamaged, StoreFailed, StoreHangs

from ...support.actors.errors_of_all_kinds import example, same

FORMS = ErrorForms(ERRORS)


def crossed(error: BaseException, forms: ErrorForms = FORMS) -> PerdureError:
    told = forms.tell(error)
    packed = msgspec.msgpack.encode(told)
    return forms.hear(msgspec.msgpack.decode(packed, type=ToldError))


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_each_error_arrives_as_it_was(kind: type[PerdureError]) -> None:
    error = example(kind)
    same(error, crossed(error))


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_each_error_keeps_its_arguments_under_their_names(kind: type[PerdureError]) -> None:
    # The form reads the fields there.
    error = example(kind)
    for parameter in ErrorForm(kind).parameters or ():
        assert hasattr(error, parameter.name), parameter


def test_an_unknown_subclass_is_raised_as_the_nearest_class_that_takes_a_text() -> None:
    class DiskFull(StoreFailed):
        pass

    class Full(MailboxFull):
        pass

    failed = crossed(DiskFull("no room"))
    assert type(failed) is StoreFailed
    assert str(failed) == "DiskFull: no room"
    # MailboxFull takes more arguments than a text.
    full = crossed(Full(Address("a", "b"), messages_max=3))
    assert type(full) is PerdureError
    assert str(full).startswith("Full: a/b has 3 messages waiting")


def test_a_class_of_the_same_name_is_not_taken_for_another() -> None:
    impostor = type("ActorFailed", (PerdureError,), {})
    assert type(crossed(impostor("x"))) is PerdureError


def test_an_error_that_this_release_does_not_know_is_told_in_its_words() -> None:
    for told in (
        ToldError("NewError", Raw(msgspec.msgpack.encode([1])), "of a later release"),
        ToldError("MailboxFull", Raw(msgspec.msgpack.encode([1, 2, 3])), "of a later release"),
        ToldError("StoreHangs", Raw(b"\xc1"), "of a later release"),
    ):
        heard = FORMS.hear(told)
        assert type(heard) is PerdureError
        assert str(heard) == "of a later release"


def test_an_error_with_an_argument_that_cannot_be_packed_is_told_in_its_words() -> None:
    heard = crossed(MailboxFull(object(), messages_max=1))  # type: ignore[arg-type]
    assert type(heard) is PerdureError
    assert "messages waiting" in str(heard)


def test_nothing_but_the_classes_that_are_entered_is_made() -> None:
    made: list[Any] = []

    class Trap(PerdureError):
        def __init__(self, text: str) -> None:
            made.append(text)

    for name in ("Trap", "SystemExit", "os.system", "perdure.actors.errors.ActorFailed", "object"):
        assert type(FORMS.hear(ToldError(name, Raw(msgspec.msgpack.encode(["x"])), "t"))) is PerdureError
    assert not made
    assert Trap.__name__ not in {kind.__name__ for kind in FORMS}


@given(name=st.sampled_from([kind.__name__ for kind in ERRORS]), arguments=st.binary(max_size=48), text=st.text())
def test_any_bytes_make_an_error(name: str, arguments: bytes, text: str) -> None:
    assert isinstance(FORMS.hear(ToldError(name, Raw(arguments), text)), PerdureError)


def test_a_deep_one_stays_what_it_is() -> None:
    # An error that is passed to a third host does not grow.
    error: PerdureError = ActorFailed(Address("a", "b"), StoreDamaged(Address("a", "b"), "torn", key=1))
    for _ in range(3):
        again = crossed(error)
        assert str(again) == str(error)
        error = again


def test_stores_and_hosts_that_stop_are_told_apart() -> None:
    assert isinstance(crossed(StoreHangs()), StoreFailed)
    assert isinstance(crossed(HostStopping()), HostStopping)
    assert inspect.isclass(HostStopping)
