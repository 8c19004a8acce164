"""Mutants of hosts with old and new code side by side: names of hosts, activities elsewhere, turns that wait."""

import pytest

from perdure.actors.address import Address
from perdure.runtime.activities.elsewhere import ActivitiesElsewhere
from perdure.runtime.instance.message import Invoke
from perdure.runtime.workers.hosts.code import CodeKind, CodeOfHosts

from .catalogue import mutant


@mutant("E8", kind="rolling")
def an_activity_fails_where_it_is_not_registered(patch: pytest.MonkeyPatch) -> None:
    def takes(self: ActivitiesElsewhere, address: Address, invoke: Invoke, holder: str | None) -> bool:
        return False

    patch.setattr(ActivitiesElsewhere, "takes", takes)


@mutant("E8", kind="rolling")
def a_turn_does_not_wait_for_its_code(patch: pytest.MonkeyPatch) -> None:
    original = CodeOfHosts.may_have

    def may_have(self: CodeOfHosts, kind: CodeKind, name: str) -> bool:
        return kind is CodeKind.ACTIVITY and original(self, kind, name)

    patch.setattr(CodeOfHosts, "may_have", may_have)
