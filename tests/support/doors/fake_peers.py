"""The other hosts of a daemon, in the same process and without sockets."""

from collections.abc import Callable
from typing import Any

from perdure.actors.cluster.method import HostMethod


class FakePeers:
    """One host's view of the others. Make all of them with `daemon_of`."""

    def __init__(self) -> None:
        self.others: list[FakePeers] = []
        self.methods: dict[str, Callable[..., Any]] = {}
        self.away = False  # no host reaches this one

    @property
    def connected(self) -> bool:
        return not any(other.away for other in self.others)

    def answer(self, method: HostMethod, function: Callable[..., Any]) -> None:
        assert method.name not in self.methods
        self.methods[method.name] = function

    async def ask_reachable(self, method: HostMethod, *arguments: Any) -> list[Any]:
        given = method.arguments_in(method.pack_arguments(arguments))
        results = [other.methods[method.name](*given) for other in self.others if not other.away]
        return [method.result_in(method.pack_result(result)) for result in results]


def daemon_of(hosts: int) -> list[FakePeers]:
    """Make hosts that know each other."""
    peers = [FakePeers() for _ in range(hosts)]
    for each in peers:
        each.others = [other for other in peers if other is not each]
    return peers
