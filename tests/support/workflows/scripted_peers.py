"""Other hosts that answer by a script, for tests of one end of a conversation between hosts."""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

from perdure.actors.cluster.method import HostMethod
from perdure.actors.cluster.peers import AppPeers

Script = Callable[[str, HostMethod, tuple[Any, ...]], Any]


class ScriptedPeers:
    """The other hosts of a host called "me".

    Args:
        script: Called with a host, a method and its arguments: returns the answer, or raises.
        names: Of the hosts.

    Attributes:
        called: The hosts and the names of the methods that were called, in order.
        part: The host's part of the store; None: hosts share the store.
    """

    def __init__(self, script: Script, *names: str) -> None:
        self.script = script
        self.names = list(names)
        self.called: list[tuple[str, str]] = []
        self.part: object | None = None
        self.answers: dict[str, Callable[..., Awaitable[Any]]] = {}
        self._outbounds: dict[str, Any] = {}
        self._watchers: list[Callable[[], None]] = []
        self._listeners: list[Callable[[str], None]] = []
        self.cut: set[str] = set()  # hosts that live, and cannot be reached

    @property
    def peers(self) -> AppPeers:
        return cast(AppPeers, self)

    @property
    def membership(self) -> Any:
        return SimpleNamespace(me="me", part=self.part)

    def answer(self, method: HostMethod, function: Callable[..., Any]) -> None:
        async def answer(*arguments: Any) -> Any:
            return function(*arguments)

        self.answers[method.name] = answer

    def answer_async(self, method: HostMethod, function: Callable[..., Awaitable[Any]]) -> None:
        self.answers[method.name] = function

    def watch(self, changed: Callable[[], None]) -> None:
        self._watchers.append(changed)

    def listen(self, told: Callable[[str], None]) -> None:
        self._listeners.append(told)

    def find(self, host: str) -> Any:
        if host not in self.names:
            return None
        outbound = self._outbounds.setdefault(host, SimpleNamespace(name=host))
        outbound.connected = host not in self.cut
        return outbound

    async def call(self, outbound: Any, method: HostMethod, *arguments: Any) -> Any:
        self.called.append((outbound.name, method.name))
        return self.script(outbound.name, method, arguments)

    def come_and_go(self, *names: str) -> None:
        """Have these hosts from now on."""
        self.names = list(names)
        for changed in self._watchers:
            changed()

    def connect(self, host: str) -> None:
        """Make the connection to a host."""
        self.cut.discard(host)
        self._tell(host)

    def lose(self, host: str) -> None:
        """Lose the connection to a host."""
        self.cut.add(host)
        self._tell(host)

    def _tell(self, host: str) -> None:
        for told in self._listeners:
            told(host)
