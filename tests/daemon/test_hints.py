"""The error that a command prints names the flag that mends it; `perdure daprd` names daprd's flag."""

import errno
import os
from collections.abc import Mapping

import pytest

from perdure.actors.errors import PeerAddressNeeded, PerdureError
from perdure.actors.store.errors import StoreDivided, StoreFailed, StoreForeign, StoreInUse, StoreLocked, StoreTooNew
from perdure.actors.store.part import Part
from perdure.api.ports import CannotListen, Door
from perdure.cli.daprd_flags import DAPRD_FLAGS
from perdure.daemon.config import RUN_FLAGS
from perdure.daemon.hints import explain


def cannot_listen(door: Door, number: int, host: str = "127.0.0.1", port: int = 4001) -> CannotListen:
    return CannotListen(host, port, OSError(number, os.strerror(number)), door)


IN_USE = (
    "postgresql://h/d is in use by the host on there (Perdure 1), which lives. This operation needs the store for "
    "itself: stop all its hosts first. A store of its own is {} with another ?schema=."
)
HAS_PORT = (
    "cannot listen on 127.0.0.1:4001: another program has port 4001, perhaps a Dapr sidecar or another Perdure. "
    "Stop it, or choose another port with {} (0 takes any free one)."
)
MAY_HAVE_PORT = (
    "cannot listen on 127.0.0.1:4001 for gRPC: another program may have the port, perhaps a Dapr sidecar or another "
    "Perdure. Stop it, or choose another port with {} (0 takes any free one)."
)
PRIVILEGES = "cannot listen on 127.0.0.1:80: ports below 1024 need privileges. Choose another one with {}."
ELSEWHERE = (
    f"cannot listen on [2001:db8::1]:4001: {os.strerror(errno.EADDRNOTAVAIL)}. "
    "Choose an address of this machine with {}."
)
NO_METRICS = (
    f"cannot listen on 127.0.0.1:4001 for metrics: {os.strerror(errno.EADDRINUSE)}. "
    "Choose another port with {} (0 serves no metrics)."
)
LOCKED = "p.db is in use by another Perdure process. Stop that process, or give this one a file of its own with {}."
DIVIDED = "p.db is part 1 of 4: start with {} 4, or copy the store with `perdure store spread --processes 1`."
MIXED_UP = (
    "p.db.1 is part 3 of 4, and should be part 2 of 4. "
    "Its files have each other's names: give them back their own, the first part that without a number."
)
FOREIGN = "p.db is a database of another program. Name another file with {}."
TOO_NEW = (
    "p.db has store version 9, and this release of Perdure knows versions up to 2. "
    "Install a newer release; this one would not keep what it cannot read."
)

# The error, the printed text, and the flag in it for `perdure run` and for `perdure daprd`.
LOOPBACK = (
    "this host is to be reached at 127.0.0.1:7070, a host on another machine at 10.0.0.7:7070, and a loopback address "
    "is reached from its own machine only. Reach the database by an address of the network, or say by which address "
    "other hosts reach each one. That is {}."
)

CASES = [
    (
        PeerAddressNeeded("127.0.0.1:7070", other="10.0.0.7:7070"),
        LOOPBACK,
        "--peer-address",
        "the variable PERDURE_PEER_ADDRESS",
    ),
    (cannot_listen(Door.HTTP, errno.EADDRINUSE), HAS_PORT, "--http-port", "--dapr-http-port"),
    # A supervisor opens the port of gRPC itself, so it gets the reason from the system;
    (cannot_listen(Door.GRPC, errno.EADDRINUSE), HAS_PORT, "--grpc-port", "--dapr-grpc-port"),
    # gRPC's library gives no reason.
    (
        CannotListen("127.0.0.1", 4001, RuntimeError("Failed to bind to address"), Door.GRPC),
        MAY_HAVE_PORT,
        "--grpc-port",
        "--dapr-grpc-port",
    ),
    (cannot_listen(Door.HTTP, errno.EACCES, port=80), PRIVILEGES, "--http-port", "--dapr-http-port"),
    (cannot_listen(Door.GRPC, errno.EACCES, port=80), PRIVILEGES, "--grpc-port", "--dapr-grpc-port"),
    (
        cannot_listen(Door.HTTP, errno.EADDRNOTAVAIL, host="2001:db8::1"),
        ELSEWHERE,
        "--host",
        "--dapr-listen-addresses",
    ),
    (
        cannot_listen(Door.GRPC, errno.EADDRNOTAVAIL, host="2001:db8::1"),
        ELSEWHERE,
        "--host",
        "--dapr-listen-addresses",
    ),
    (cannot_listen(Door.METRICS, errno.EADDRINUSE), NO_METRICS, "--metrics-port", "--metrics-port"),
    (StoreLocked("p.db"), LOCKED, "--data", "--data"),
    (StoreInUse("postgresql://h/d", name="there", release="1"), IN_USE, "--data", "--data"),
    (StoreDivided("p.db", found=Part(0, 4), asked=Part(0, 1)), DIVIDED, "--processes", "--processes"),
    (StoreDivided("p.db.1", found=Part(2, 4), asked=Part(1, 4)), MIXED_UP, "", ""),
    (StoreForeign("p.db"), FOREIGN, "--data", "--data"),
    # Errors that no flag mends are printed as they are.
    (StoreTooNew("p.db", found=9, known=2), TOO_NEW, "", ""),
    (StoreFailed("there is no store at p.db"), "there is no store at p.db", "", ""),
]


@pytest.mark.parametrize(("error", "text", "of_run", "of_daprd"), CASES, ids=lambda value: type(value).__name__)
def test_an_error_is_printed_with_the_flag_that_mends_it(
    error: PerdureError, text: str, of_run: str, of_daprd: str
) -> None:
    assert explain(error, RUN_FLAGS) == text.format(of_run)
    assert explain(error, DAPRD_FLAGS) == text.format(of_daprd)


@pytest.mark.parametrize("flags", [RUN_FLAGS, DAPRD_FLAGS], ids=["run", "daprd"])
def test_every_door_has_a_flag(flags: Mapping[str, str]) -> None:
    for door in Door:
        assert "--" in explain(cannot_listen(door, errno.EADDRINUSE), flags)
