"""Errors for a command line: the error, and the flag that corrects it.

The rule: an error has fields and names no flag, because an embedded engine has no flags. Only this module adds the
flag, under its name in the command line in use. The commands in `cli/` call `explain` before they print an error, and a
host (`daemon/hosts/member.py`) before it sends an error to its supervisor.
"""

import errno
from collections.abc import Mapping

from ..actors.errors import PeerAddressNeeded, PerdureError
from ..actors.store.errors import StoreDivided, StoreForeign, StoreInUse, StoreLocked
from ..api.ports import CannotListen, Door

PORT_FLAGS = {Door.HTTP: "http_port", Door.GRPC: "grpc_port", Door.METRICS: "metrics_port"}


def explain(error: PerdureError, flags: Mapping[str, str]) -> str:
    """Say what went wrong, and what to do about it on a command line.

    Args:
        flags: The name of the flag for each value of the configuration (`Config.flags`).
    """
    match error:
        case CannotListen():
            return f"{error} {another_address(error, flags)}"
        case PeerAddressNeeded():
            return f"{error} That is {flags['peer_address']}."
        case StoreInUse():
            return f"{error} A store of its own is {flags['data']} with another ?schema=."
        case StoreLocked(path=path):
            return (
                f"{path} is in use by another Perdure process. "
                f"Stop that process, or give this one a file of its own with {flags['data']}."
            )
        case StoreDivided(path=path, found=found, asked=asked) if found.of != asked.of:
            return (
                f"{path} is {found}: start with {flags['processes']} {found.of}, "
                f"or copy the store with `perdure store spread --processes {asked.of}`."
            )
        case StoreForeign(path=path):
            return f"{path} is a database of another program. Name another file with {flags['data']}."
    return str(error)


def another_address(error: CannotListen, flags: Mapping[str, str]) -> str:
    """Say how to get an address that can be taken."""
    flag = flags[PORT_FLAGS[error.door]]
    if error.door is Door.METRICS:
        return f"Choose another port with {flag} (0 serves no metrics)."
    if not isinstance(error.cause, OSError) or error.cause.errno == errno.EADDRINUSE:
        return f"Stop it, or choose another port with {flag} (0 takes any free one)."
    if error.cause.errno == errno.EACCES:
        return f"Choose another one with {flag}."
    return f"Choose an address of this machine with {flags['host']}."
