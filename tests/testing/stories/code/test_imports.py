"""A module that is imported in a world is imported as outside, and `datetime` in a function is the world's."""

import sys
from pathlib import Path
from typing import Any

import pytest

from perdure import ActivityContext, App, WorkflowContext
from perdure.testing import World

from ..shop import calm, succeed

NEW_YEAR_2026_S = 1_767_225_600


def performed(do: Any) -> Any:
    app, seen = App("importing"), list[Any]()

    @app.activity
    async def act(ctx: ActivityContext) -> None:
        seen.append(do())

    @app.workflow
    async def w(ctx: WorkflowContext) -> None:
        await ctx.call_activity(act)

    async def story(world: World) -> None:
        await world.client.run(w, instance_id="o")

    succeed(calm(app, story))
    return seen[0]


def by_name() -> float:
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime.now(UTC).timestamp()


def by_module() -> float:
    import datetime  # noqa: PLC0415

    return datetime.datetime.now(datetime.UTC).timestamp()


@pytest.mark.parametrize("now", [by_name, by_module])
def test_the_date_of_an_import_in_a_function_is_the_worlds(now: Any) -> None:
    assert 0 <= performed(now) - NEW_YEAR_2026_S < 2
    assert now() > NEW_YEAR_2026_S + 1_000_000


REAL = """
import random, socket, subprocess, sys, time
with socket.socket() as listening:
    listening.bind(("127.0.0.1", 0))
subprocess.run([sys.executable, "-c", ""], check=True)
AT_S = time.time()
"""


def test_an_import_is_the_machines_and_takes_of_no_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imported_in_a_world.py").write_text(REAL)
    monkeypatch.syspath_prepend(tmp_path)

    def do() -> tuple[float, float]:
        import random  # noqa: PLC0415

        import imported_in_a_world  # type: ignore[import-not-found]  # noqa: PLC0415

        return imported_in_a_world.AT_S, random.Random().random()

    # Given a module that does what a world refuses, when an activity imports it, then it is done;
    at_s, first = performed(do)
    assert at_s > NEW_YEAR_2026_S + 1_000_000
    # and the next world, in which it is there, has the same chance.
    assert performed(do) == (at_s, first)
    del sys.modules["imported_in_a_world"]
