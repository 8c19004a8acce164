"""An address is written as in URLs, and the error for one that cannot be taken has the reason, and no flag."""

import errno
import os
import pickle

import pytest

from perdure.api.ports import CannotListen, Door, address_of


def test_addresses_are_written_as_in_urls() -> None:
    assert address_of("127.0.0.1", 3500) == "127.0.0.1:3500"
    assert address_of("::1", 3500) == "[::1]:3500"


@pytest.mark.parametrize(
    ("cause", "door", "text"),
    [
        (
            errno.EADDRINUSE,
            Door.HTTP,
            "cannot listen on [::1]:80: another program has port 80, perhaps a Dapr sidecar or another Perdure.",
        ),
        (errno.EACCES, Door.GRPC, "cannot listen on [::1]:80: ports below 1024 need privileges."),
        (errno.EADDRNOTAVAIL, Door.HTTP, f"cannot listen on [::1]:80: {os.strerror(errno.EADDRNOTAVAIL)}."),
        (errno.EADDRINUSE, Door.METRICS, f"cannot listen on [::1]:80 for metrics: {os.strerror(errno.EADDRINUSE)}."),
    ],
)
def test_an_address_that_cannot_be_taken_is_named_with_the_reason(cause: int, door: Door, text: str) -> None:
    error = CannotListen("::1", 80, OSError(cause, os.strerror(cause)), door)
    assert str(error) == text
    assert str(pickle.loads(pickle.dumps(error))) == text  # noqa: S301


def test_the_grpc_library_does_not_tell_the_reason() -> None:
    assert str(CannotListen("::1", 80, RuntimeError("Failed to bind to address"), Door.GRPC)) == (
        "cannot listen on [::1]:80 for gRPC: another program may have the port, perhaps a Dapr sidecar or another "
        "Perdure."
    )
