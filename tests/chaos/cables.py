"""Machines of their own for hosts: a network namespace for each, with a cable to a switch, which can be pulled.

The kernel drops the packets, as in a network, without a program between. It needs root, and a system that
allows network namespaces (`ip`, of iproute2).
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def allowed() -> bool:
    """Whether this user may make network namespaces on this machine."""
    name = f"pd{os.getpid()}t"
    try:
        ip("netns", "add", name)
        ip("netns", "del", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


class Cables:
    """A switch with a number of machines. The machine that runs the test is connected too, as `switch`.

    Args:
        net: The network, without the last number: 10.77.3.
    """

    def __init__(self, machines: int, net: str) -> None:
        self.switch = f"{net}.1"
        self.net = f"{net}.0/24"
        self._prefix = f"pd{os.getpid()}"
        self._machines = machines
        self._net = net

    def address(self, machine: int) -> str:
        return f"{self._net}.{10 + machine}"

    def inside(self, machine: int) -> tuple[str, ...]:
        """The words before a command that run it on a machine."""
        return ("ip", "netns", "exec", self._namespace(machine))

    def lay(self) -> None:
        """Make the switch, the namespaces and the cables."""
        ip("link", "add", self._bridge, "type", "bridge")
        ip("addr", "add", f"{self.switch}/24", "dev", self._bridge)
        ip("link", "set", self._bridge, "up")
        for machine in range(self._machines):
            namespace, end = self._namespace(machine), self._end(machine)
            ip("netns", "add", namespace)
            ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            ip("link", "set", end, "master", self._bridge, "up")
            ip("-n", namespace, "addr", "add", f"{self.address(machine)}/24", "dev", "eth0")
            ip("-n", namespace, "link", "set", "eth0", "up")
            ip("-n", namespace, "link", "set", "lo", "up")

    def clear(self) -> None:
        """Remove the cables, the namespaces and the switch."""
        for machine in range(self._machines):
            with suppress(subprocess.CalledProcessError):
                ip("netns", "del", self._namespace(machine))
        with suppress(subprocess.CalledProcessError):
            ip("link", "del", self._bridge)

    def pull(self, machine: int) -> None:
        """Pull the cable of a machine: no packet reaches it or leaves it."""
        ip("link", "set", self._end(machine), "down")

    def plug(self, machine: int) -> None:
        ip("link", "set", self._end(machine), "up")

    def part(self, machine: int, *, parted: bool) -> None:
        """Separate a machine from the other ones, or connect it again. The machine that runs the test reaches all."""
        for other in set(range(self._machines)) - {machine}:
            for one, far in ((machine, other), (other, machine)):
                route = ("blackhole", f"{self.address(far)}/32")
                ip("-n", self._namespace(one), "route", "add" if parted else "del", *route)

    @property
    def _bridge(self) -> str:
        return f"{self._prefix}b"

    def _namespace(self, machine: int) -> str:
        return f"{self._prefix}n{machine}"

    def _end(self, machine: int) -> str:
        return f"{self._prefix}v{machine}"


@contextmanager
def cabled(machines: int) -> Iterator[Cables]:
    """Machines at a switch, for a block."""
    cables = Cables(machines, f"10.77.{os.getpid() % 256}")
    try:
        cables.lay()
        yield cables
    finally:
        cables.clear()
