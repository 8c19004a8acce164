"""A failure is told as a story, with the line that replays it."""

from pathlib import Path

from perdure.testing import InvariantFailed, World
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.search.attempt import Attempt, FoundFailure
from perdure.testing.simulation.trace import TracedLine
from perdure.testing.stories.telling.report import LINES_MAX, headline, report, story
from perdure.testing.stories.trial.trying import Finding, Tried

from ..shop import Bank, Shop, in_world


def test_it_has_all_that_a_person_needs() -> None:
    shop, bank = Shop(), Bank()

    async def story_of_one(world: World) -> None:
        shop.bank = world.outside(bank)
        world.always(lambda: len(bank.charges) < 2, "one charge")
        await world.client.run(shop.buy, input="o", instance_id="o")

    attempt = in_world(shop.app, story_of_one, "kill.bank.charge#0")
    assert attempt.error is not None
    failure = FoundFailure({("kill.bank.charge", 0): 1}, attempt.error, attempt.story, 3, attempt)
    finding = Finding(failure, "by seed 7", 9, ({("answer.lost", 0): 1},))
    text = report(
        "test_x", finding, Tried(worlds=5), confirmed="twice.", node="t.py::test_x", file=Path.cwd() / "f.json"
    )
    lines = text.splitlines()
    assert lines[0] == "one charge: it does not hold"
    assert [line[:3] for line in lines[2:8]] == ["   ", "   ", "   ", "  !", "   ", "   "]
    assert "killed: bank has done charge o, and the host has not heard of it" in lines[5]
    assert lines[7].endswith("<- fails here")
    assert lines[9] == (
        "  An activity may run again after a crash. Give ctx.task_execution_id to the system that must not do it twice."
    )
    assert "Found by seed 7, and made smaller from 9 choices to 1 in 3 worlds (5 worlds in 0.0 s)." in lines
    assert "Also: 'answer.lost#0'" in lines
    assert "Confirmed: twice." in lines
    assert "Replay: pytest 't.py::test_x' --perdure-schedule f.json" in lines
    assert 'Keep: @schedule("kill.bank.charge#0")' in lines
    assert lines[-1].startswith("Python 3.")


def test_a_headline_is_one_thought() -> None:
    assert headline("test_x", AssertionError("two\nassert 2 == 1")) == "test_x: two"
    assert headline("test_x", KeyError("a")) == "test_x: KeyError: 'a'"
    assert headline("test_x", InvariantFailed("n", "two\nassert 2 == 1\n +  where")) == "n: two"
    assert headline("test_x", AssertionError()) == "test_x: AssertionError()"


def test_a_long_story_is_cut_in_its_middle() -> None:
    lines = [TracedLine(float(n), "host", f"line {n}") for n in range(200)]
    told = story(Attempt(AssertionError("x"), "", lines, Choices())).splitlines()
    assert len(told) == LINES_MAX + 1
    assert "... 140 more ..." in told[10]
    assert "line 199" in told[-1]
