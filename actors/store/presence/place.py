"""The place of a host: its process and its machine.

The rule: a place proves that a host has ended only where that is certain: on the same machine, in the same boot and in
the same namespace of process ids, if no process has its id, or a process that began later has it. Elsewhere the beat
decides.

`actors/cluster/leased.py` and `actors/store/postgres/presence.py` compare places.
"""

import os
import socket
from collections.abc import Callable


def own_place() -> str:
    """The place of this process: the boot of its machine, its processes, its id, and when it began."""
    return f"{_scope()}/{os.getpid()}/{_began(os.getpid()) or 0}"


def is_gone(place: str, *, began: Callable[[int], str | None] | None = None) -> bool:
    """Whether the process at a place has certainly ended.

    Args:
        began: Returns when a process began; None: there is no such process.
    """
    scope, _, process = place.partition("/")
    pid, _, start = process.partition("/")
    if scope != _scope() or scope.startswith("?") or not pid.isdigit() or start == "0":
        return False
    return (began or _began)(int(pid)) != start


def machine_name() -> str:
    """The name of this machine, for sentences."""
    return socket.gethostname()


def _scope() -> str:
    """The boot of the machine and the namespace of process ids; begins with ? if the system does not provide them."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()}:{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return f"?{machine_name()}"


def _began(pid: int) -> str | None:
    """When a process began, in ticks since the boot; None if there is no such process, or it is a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
