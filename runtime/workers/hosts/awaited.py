"""Awaited code: the instances of this host whose workflow only other hosts have.

The rule: such an instance holds its arrivals and keeps its status. It goes on when its shard is at a host that has the
code, which reads its active mark; and it is tried here again as soon as no other host may have the code.

`runtime/hosted_app.py` has one, where there are other hosts. `runtime/instance/native.py` sends it the instances.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ....actors.address import Address
from ....journal.journal import Journal
from ....journal.vocabulary import CODE_AWAITED
from ...instance.message import AwaitsCode, TryAgain
from .code import CodeKind, CodeOfHosts


class AwaitedCode:
    """The instances that wait.

    Args:
        code: The code of the other hosts.
        instance: The address of an instance.
        send: Sends it a message.
        journal: Gets a line about each workflow that instances wait for.
    """

    def __init__(
        self,
        code: CodeOfHosts,
        *,
        instance: Callable[[str], Address],
        send: Callable[[Address, Any], None],
        journal: Journal,
    ) -> None:
        self._code = code
        self._instance = instance
        self._send = send
        self._journal = journal.at(__name__)
        self._waiting: dict[str, str] = {}  # instance -> the workflow, in the order of their coming
        code.follow(self._look)

    def __len__(self) -> int:
        """How many instances wait."""
        return len(self._waiting)

    def receive(self, address: Address, message: AwaitsCode) -> None:
        """Take an instance whose code is at other hosts."""
        if not self._has(message.workflow):
            self._send(self._instance(address.id), TryAgain())
            return
        if message.workflow not in self._waiting.values():
            hosts = self._code.living(CodeKind.WORKFLOW, message.workflow)
            self._journal.write(
                CODE_AWAITED,
                instance_id=address.id,
                workflow=message.workflow,
                hosts=", ".join(hosts) or "a host that is not there now",
            )
        self._waiting[address.id] = message.workflow

    def awaits(self, instance_id: str) -> bool:
        """Whether an instance waits here for its code."""
        return instance_id in self._waiting

    @property
    def counts(self) -> Mapping[str, int]:
        """How many instances wait for each workflow."""
        counts: dict[str, int] = {}
        for workflow in self._waiting.values():
            counts[workflow] = counts.get(workflow, 0) + 1
        return counts

    def withdraw(self, instance_id: str) -> None:
        """Forget an instance that has ended."""
        self._waiting.pop(instance_id, None)

    def leave(self, has: Callable[[str], bool]) -> None:
        """Forget the instances that another host owns now.

        Args:
            has: Whether an instance is one of them.
        """
        self._forget([instance_id for instance_id in self._waiting if has(instance_id)])

    def _look(self) -> None:
        """Have the instances try again whose code no other host may have any more."""
        lost = {workflow for workflow in self._waiting.values() if not self._has(workflow)}
        again = [instance_id for instance_id, workflow in self._waiting.items() if workflow in lost]
        self._forget(again)
        for instance_id in again:
            self._send(self._instance(instance_id), TryAgain())

    def _has(self, workflow: str) -> bool:
        return self._code.may_have(CodeKind.WORKFLOW, workflow)

    def _forget(self, ids: Sequence[str]) -> None:
        for instance_id in ids:
            del self._waiting[instance_id]
