"""Histories in a folder are replayed through today's code, in CI for example."""

from datetime import timedelta
from pathlib import Path

import pytest

from perdure import ActivityContext, App, WorkflowContext
from perdure.runtime.operations.steering.exported import ImportMalformed
from perdure.testing import HistoriesUnfit, SimulationMisuse, World, replay
from perdure.testing.stories.histories import read_history

from .shop import Bank, Shop, calm, in_world, succeed


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    shop = Shop()

    async def story(world: World) -> None:
        shop.bank = world.outside(Bank())
        await world.client.run(shop.buy, input="o", instance_id="o")
        await world.client.start(shop.wait, input="go", instance_id="w")
        await world.save_histories(tmp_path / "corpus")

    succeed(calm(shop.app, story))
    succeed(in_world(shop.app, story, "bank.charge.lost#0"))
    return tmp_path / "corpus"


def test_code_that_fits_them_all_passes_and_says_how_many(corpus: Path) -> None:
    assert replay(corpus, Shop().app) == 3  # the order, the order with two attempts, one that waits
    assert replay(next(corpus.glob("wait-*")), Shop().app) == 1


def test_code_that_does_not_is_told_with_each_file(corpus: Path) -> None:
    app = App("shop")

    @app.activity
    async def check(ctx: ActivityContext) -> None: ...

    @app.workflow
    async def buy(ctx: WorkflowContext, order: str) -> None:
        await ctx.call_activity(check)
        await ctx.create_timer(timedelta(seconds=1))

    with pytest.raises(HistoriesUnfit) as unfit:
        replay(corpus, app)
    assert len(unfit.value.unfit) == 2
    assert "recorded activity 'charge', now the code asks activity 'check'" in str(unfit.value)


def test_nothing_to_replay_is_no_success(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(SimulationMisuse, match="there is no file or folder"):
        replay(tmp_path / "nowhere", Shop().app)
    with pytest.raises(SimulationMisuse, match=r"the folder .* has no histories"):
        replay(tmp_path, Shop().app)
    with pytest.raises(SimulationMisuse, match="has no history of a workflow of"):
        replay(corpus, App("another"))
    with pytest.raises(SimulationMisuse, match=r"replay takes a perdure\.App"):
        replay(corpus, "shop:app")  # type: ignore[arg-type]


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("{}\n")
    with pytest.raises(ImportMalformed) as refused:
        replay(tmp_path, Shop().app)
    assert refused.value.__notes__ == [f"The file is {tmp_path / 'x.jsonl'}."]


def test_a_history_is_read_as_it_was(corpus: Path) -> None:
    history = read_history(next(corpus.glob("wait-*")))
    assert (history.instance_id, history.record.name, len(history.rows)) == ("w", "wait", 1)
