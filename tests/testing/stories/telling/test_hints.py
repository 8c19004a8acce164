"""A hint is given for what was seen in the world that failed."""

from collections import Counter
from typing import Any

from perdure import ActivityContext, App, WorkflowContext
from perdure.testing import InvariantFailed, Stuck, World
from perdure.testing.simulation.machines.outside import Deed
from perdure.testing.stories.telling import hints
from perdure.testing.stories.telling.hints import hint
from perdure.testing.stories.trial.running import WorldFacts

from ..shop import Bank, in_world


def facts(*deeds: Deed, started_again: frozenset[str] = frozenset(), unnamed_again: bool = False) -> WorldFacts:
    return WorldFacts(1, 0, 0, 0, Counter(), deeds, started_again, unnamed_again, 0, 0.0)


ERROR = InvariantFailed("one charge", "two")


def test_what_was_done_twice_needs_a_key() -> None:
    assert hint(ERROR, facts(Deed("charge o", "", 1), Deed("charge o", "", 2))) == hints.NO_KEY
    assert hint(ERROR, facts(Deed("charge o", "", 1), Deed("charge p", "", 2))) is None


def test_a_key_has_to_be_remembered() -> None:
    twice = facts(Deed("charge o", "key=a", 1), Deed("charge o", "key=a", 2))
    assert hint(ERROR, twice) == hints.SAME_KEY.format(key="key")


def test_a_repeated_start_comes_first() -> None:
    deeds = [Deed("charge o", "key=a", 1), Deed("charge o", "key=b", 2)]
    assert 'if_exists="return"' in str(hint(ERROR, facts(*deeds, started_again=frozenset({"o"}))))
    assert hint(ERROR, facts(*deeds, unnamed_again=True)) == hints.UNNAMED_AGAIN


def test_a_way_back_behind_a_patch() -> None:
    error = InvariantFailed("no instance stalls", "recorded patches ['fraud'], now the code asks activity 'reserve'")
    assert hint(error, facts()) == hints.PATCHED


def test_who_waits_for_an_event() -> None:
    assert hint(Stuck("1 of them: o (w) waits for event 'x' since then"), facts()) == hints.WAITS
    assert hint(Stuck("nothing"), facts()) is None


def test_an_activity_without_retries_that_was_lost() -> None:
    app, held = App("shop"), dict[str, Any]()

    @app.activity
    async def charge(ctx: ActivityContext, order: str) -> Any:
        return await held["bank"].charge(order)

    @app.workflow
    async def buy(ctx: WorkflowContext, order: str) -> Any:
        return await ctx.call_activity(charge, input=order)

    async def story(world: World) -> None:
        held["bank"] = world.outside(Bank())
        await world.client.run(buy, input="o", instance_id="o")

    attempt = in_world(app, story, "bank.charge.lost#0")
    assert attempt.error is not None
    assert hint(attempt.error, attempt.facts) == hints.LOST
