"""Errors name the fault and the remedy; their tree is in the docstring."""

import pickle
import re

import pytest

from perdure.actors import errors
from perdure.actors.address import Address
from perdure.actors.cluster.error_form import ErrorForms
from perdure.actors.cluster.vocabulary import ERRORS
from perdure.actors.errors import (
    ActorFailed,
    HostLost,
    HostStopping,
    HostUnreachable,
    MailboxFull,
    NotOwner,
    PerdureError,
    WaitingRoomFull,
)
from perdure.actors.text import ErrorElsewhere

from ..support.workflows.hard_exceptions import HARD_EXCEPTIONS

A = Address("workflow", "a")


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) | {"PerdureError"}
    assert drawn == {
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, PerdureError)
    }


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MailboxFull(A, messages_max=5), r"workflow/a has 5 messages waiting.*\(mailbox_messages_max\)"),
        (
            WaitingRoomFull(A, messages_max=5),
            r"^5 messages wait for the shard of workflow/a, which is moving.*\(waiting_messages_max\)",
        ),
        (HostStopping(), "shutting down"),
        (NotOwner(A, shard=3, owner=None), "shard 3, which belongs to no host"),
        (HostUnreachable("host-1"), "host-1, which has the instance.*nothing of this request was done"),
        (HostLost("host-1"), "host-1, which has the instance.*may have happened"),
        (ActorFailed(A, KeyError("x")), "workflow/a could not take its turn: KeyError: 'x'"),
    ],
)
def test_each_says_what_is_the_case(error: Exception, text: str) -> None:
    assert re.search(text, str(error))


@pytest.mark.parametrize(
    "error",
    [
        MailboxFull(A, messages_max=5),
        NotOwner(A, shard=3, owner="host-1"),
        ActorFailed(A, KeyError("x")),
        HostUnreachable("host-1"),
    ],
)
def test_each_is_copied_as_it_was(error: Exception) -> None:
    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301  as users' programs do between their processes
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived).keys() == vars(error).keys()


FORMS = ErrorForms(ERRORS)


def test_an_error_of_no_class_that_travels_is_told_in_words() -> None:
    class Local(Exception):
        pass

    arrived = FORMS.hear(FORMS.tell(Local("oh")))
    assert type(arrived) is PerdureError
    assert str(arrived) == "Local: oh"


def test_the_cause_of_a_broken_turn_is_told_in_words() -> None:
    class Local(Exception):
        pass

    error = ActorFailed(A, Local("oh"))
    arrived = FORMS.hear(FORMS.tell(error))
    assert type(arrived) is ActorFailed
    assert type(arrived.cause) is ErrorElsewhere
    assert str(arrived) == str(error) == "workflow/a could not take its turn: Local: oh"
    # It is the same after a second host.
    assert str(FORMS.hear(FORMS.tell(arrived))) == str(error)


@pytest.mark.parametrize("name", sorted(HARD_EXCEPTIONS))
def test_whatever_broke_a_turn_can_be_said_and_sent_to_another_host(name: str) -> None:
    error = ActorFailed(A, HARD_EXCEPTIONS[name]())
    assert str(error).startswith("workflow/")
    assert type(FORMS.hear(FORMS.tell(error))) is ActorFailed
    assert type(FORMS.hear(FORMS.tell(HARD_EXCEPTIONS[name]()))) is PerdureError
