"""Whatever sessions do with the stand-in, a real server does: the same rows, the same refusals, the same waits."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings

from perdure.actors.store.postgres import exporting, statements
from perdure.actors.store.postgres.driver import AsyncpgDriver, Statement
from perdure.actors.store.postgres.schema import make_ready
from perdure.actors.store.postgres.settings import session_settings
from perdure.actors.store.postgres.url import parse_url
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.machines.database.backend import ServerCore
from perdure.testing.simulation.machines.database.machine import SimDatabase

from .....support.actors.stores import ServerOf
from .....support.postgres import installed
from .programs import APART, BEGINNING, HOSTS, NOW, RIGHT, SHARDS, STATEMENTS, Blocking, Ended, Ran, Step, programs
from .sides import WAITS, Came, Real, StandIn

RELEASES = [*installed()]
pytestmark = pytest.mark.skipif(not RELEASES, reason="there is no PostgreSQL here")

SCHEMA = "differential"


class Both:
    """A real server, and a stand-in for each program."""

    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self._url = url
        self.real = Real(url)
        self.runner.run(self._make(AsyncpgDriver(parse_url(url))))

    async def _make(self, driver: object) -> None:
        assert isinstance(driver, AsyncpgDriver)
        session = await driver.connect(session_settings(parse_url(self._url), "differential test"))
        await make_ready(session, parse_url(self._url), shards=SHARDS, now_us=1)
        await session.close()

    async def made_core(self) -> ServerCore:
        """A stand-in with the tables of a store."""
        database = SimDatabase(Choices(), trip_s=0.0)
        session = await database.link().connect({"search_path": SCHEMA})
        await make_ready(session, parse_url(self._url), shards=SHARDS, now_us=1)
        session.terminate()
        return database.core

    def close(self) -> None:
        self.runner.run(self.real.close())
        self.runner.close()


@pytest.fixture(scope="module", params=RELEASES)
def both(postgres_server: ServerOf, request: pytest.FixtureRequest) -> Iterator[Both]:
    both = Both(postgres_server(request.param).url(schema=SCHEMA))
    yield both
    both.close()


async def compare(both: Both, program: Sequence[Step]) -> list[Came]:
    """Run a program on both sides, look that all is the same, and return what came of it."""
    stand_in, real = StandIn(await both.made_core(), SCHEMA), both.real
    await real.begin()
    came: list[Came] = []
    done: list[tuple[Step, Sequence[Came]]] = []
    try:
        for planned in [*BEGINNING, *program]:
            step = stand_in.with_values(planned)
            if not stand_in.may(step):
                continue
            blocked = stand_in.waiting
            expected = stand_in.take(step)
            found = await real.take(step, expected, blocked, stand_in.ended)
            done.append((step, expected))
            assert found == expected, told(done, found)
            assert await real.still_waiting() == list(stand_in.waiting), told(done, found)
            came += expected
    finally:
        stand_in.finish()
        await real.finish()
    there = await real.contents()
    assert stand_in.contents() == there, told(done, [])
    return came


def told(done: Sequence[tuple[Step, Sequence[Came]]], found: Sequence[Came]) -> str:
    lines = "\n".join(f"    {_shown(step)} -> {[(each.session, each.what) for each in came]}" for step, came in done)
    return f"steps, and what came of them at the stand-in:\n{lines}\n  a real server has said {found}"


def _shown(step: Step) -> str:
    if isinstance(step, Ran):
        columns = f"{step.statement.parts} " if step.statement.parts else ""
        return f"{step.session}: {step.statement.name} {columns}{step.arguments}"
    return f"{step.session}: {step.how if isinstance(step, Ended) else 'ends who blocks'}"


def check(both: Both, program: Sequence[Step]) -> list[Came]:
    return both.runner.run(asyncio.wait_for(compare(both, program), 120))


COMMON = settings(
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


def test_a_session_that_is_ended_as_another_one_waits_for_it_is_another_session_behind_that(both: Both) -> None:
    program: list[Step] = [
        Ended(0, "BEGIN"),
        Ran(0, statements.SET_STATE, (HOSTS[0], NOW, RIGHT, 1)),
        Ran(1, statements.SERVE, (HOSTS[0], 0)),
        Blocking(2),
        Ran(0, statements.SET_STATE, (HOSTS[0], NOW, RIGHT, 0)),
    ]
    for _ in range(5):
        # The one that waited has its row, and so has the one that follows on the one that was ended.
        assert [each.what for each in check(both, program)[-2:]] == [[(1,)], [(1,)]]


def test_a_value_that_another_session_has_just_made_is_changed(both: Both) -> None:
    put = statements.commit_of(("put",))
    fence = HOSTS[0], NOW, RIGHT
    program: list[Step] = [
        Ended(0, "BEGIN"),
        Ran(0, put, (*fence, [1], [b"a"], [1], [0], [b"first"])),
        Ran(1, put, (*fence, [1], [b"a"], [2], [0], [b"second"])),
        Ended(0, "COMMIT"),
    ]
    # The second one waits for the first, and then has not failed.
    assert [(each.session, each.what) for each in check(both, program)[-2:]] == [(1, [(1,)]), (0, [])]


ACTOR = (["wf"], ["id1"], [True], [b"x"], [1], [0], [0], [None], [None], [None])
# Parts of a commit that name an actor by its key, which is 1, with their arguments.
BY_KEY = {
    "update": ([1], [b"y"], [False], 1),
    "change": ([1], [b"y"], [False], [1], [0], [2], [None], [None], [None], 1),
    "unmark": ([1],),
    "delete": ([1],),
    "replace": ([1], [5], [1], *ACTOR),
}


@pytest.mark.parametrize("part", BY_KEY)
def test_an_actor_that_got_another_key_meanwhile_is_left_alone(both: Both, part: str) -> None:
    fence = HOSTS[0], NOW, RIGHT
    program: list[Step] = [
        Ran(0, statements.commit_of(("create",)), (*fence, [1], [1], *ACTOR)),
        Ended(0, "BEGIN"),
        Ran(0, statements.commit_of(("replace",)), (*fence, [1], [4], [1], *ACTOR)),
        Ran(1, statements.commit_of((part,)), (*fence, *BY_KEY[part])),
        Ended(0, "COMMIT"),
    ]
    waited, _ = check(both, program)[-2:]
    # A part that counts its actors finds one too few, and the others change nothing.
    assert (waited.session, waited.what) == (1, "22012" if part in ("update", "change") else [(1,)])


def test_a_program_has_the_same_outcome_on_both(both: Both) -> None:
    came: Counter[str] = Counter()

    @given(program=programs(5))
    @settings(COMMON, max_examples=70, derandomize=True)
    def one(program: Sequence[Step]) -> None:
        for each in check(both, program):
            came[each.what if isinstance(each.what, str) else "rows" if each.what else "none"] += 1

    one()
    # What must have come of some statements, or this would prove little.
    for what, least in (("rows", 30), ("none", 30), (WAITS, 3), ("22012", 1), ("23505", 1), ("22021", 1), ("25P02", 1)):
        assert came[what] >= least, came


@pytest.mark.slow
@given(program=programs(12))
@settings(COMMON, max_examples=1_000)
def test_thousands_of_programs_have_the_same_outcome_on_both(both: Both, program: Sequence[Step]) -> None:
    check(both, program)


def test_each_statement_of_the_store_is_in_programs() -> None:
    named = {
        each.name for module in (statements, exporting) for each in vars(module).values() if isinstance(each, Statement)
    }
    assert named == ({each.name for each in STATEMENTS} | APART) - {"commit", "tallied", "list"}
