"""The family of an instance: its members, and other instances with an id that it once requested."""

from collections.abc import Callable

import anyio
import pytest

from perdure import App, Engine, Settings, Status, WorkflowContext
from perdure.actors.address import Address
from perdure.actors.errors import RingUnknown
from perdure.actors.hosting.host import Host
from perdure.actors.store.contract import Stored
from perdure.actors.store.errors import StoreDamaged
from perdure.runtime.operations.descendants import Descendants

pytestmark = pytest.mark.anyio


def make_app() -> App:
    app = App("test")

    @app.workflow
    async def leaf(ctx: WorkflowContext) -> None:
        await ctx.wait_for_external_event("go")

    @app.workflow
    async def node(ctx: WorkflowContext) -> None:
        await ctx.call_child_workflow(leaf, instance_id="grandchild")

    @app.workflow
    async def root(ctx: WorkflowContext) -> None:
        await ctx.when_any([ctx.call_child_workflow(node, instance_id="child"), ctx.wait_for_external_event("leave")])

    return app


def descendants_of(engine: Engine) -> Descendants:
    host: Host = engine.facade._host
    return Descendants(host, engine.facade.own)


async def wait_for(engine: Engine, instance_id: str) -> None:
    while await engine.facade.inspect(instance_id) is None:
        await anyio.sleep(0.001)


async def test_a_family_is_listed_parents_first(settings: Settings) -> None:
    async with Engine(make_app(), data=":memory:", settings=settings) as engine:
        await engine.facade.start("root", instance_id="r")
        await wait_for(engine, "grandchild")
        family = await descendants_of(engine).family("r")
        assert [(member.instance_id, member.path) for member in family] == [
            ("r", ()),
            ("child", ("child",)),
            ("grandchild", ("child", "grandchild")),
        ]


async def test_the_way_to_an_unfinished_descendant_leads_past_finished_ones(settings: Settings) -> None:
    async with Engine(make_app(), data=":memory:", settings=settings) as engine:
        await engine.facade.start("root", instance_id="r")
        await wait_for(engine, "grandchild")
        await engine.facade.raise_event("r", "leave")
        await engine.facade.terminate("child", recurse=False)
        assert await descendants_of(engine).unfinished("r") == ("child", "grandchild")
        await engine.facade.raise_event("grandchild", "go")
        await engine.facade.wait("grandchild")
        assert await descendants_of(engine).unfinished("r") is None


async def test_a_member_that_was_purged_is_passed_over(settings: Settings) -> None:
    async with Engine(make_app(), data=":memory:", settings=settings) as engine:
        await engine.facade.start("root", instance_id="r")
        await wait_for(engine, "grandchild")
        await engine.facade.purge("grandchild", force=True)
        assert [member.instance_id for member in await descendants_of(engine).family("r")] == ["r", "child"]


def fail_to_read(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, id_: str, error: Callable[[Address], Exception]
) -> None:
    """Have each read of an instance fail."""
    host: Host = engine.facade._host
    read = host.read

    async def reading(address: Address) -> Stored | None:
        if address.id == id_:
            raise error(address)
        return await read(address)

    monkeypatch.setattr(host, "read", reading)


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        ("r", [("r", Status.STALLED)]),
        ("child", [("r", Status.RUNNING)]),
        ("grandchild", [("r", Status.RUNNING), ("child", Status.RUNNING)]),
    ],
)
async def test_of_a_member_that_cannot_be_read_no_family_is_known(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, broken: str, found: list[tuple[str, Status]]
) -> None:
    async with Engine(make_app(), data=":memory:", settings=settings) as engine:
        # Given a family, one of whose members has damaged rows,
        await engine.facade.start("root", instance_id="r")
        await wait_for(engine, "grandchild")
        descendants = descendants_of(engine)
        fail_to_read(engine, monkeypatch, broken, lambda address: StoreDamaged(address, "the checksum differs"))
        # when the family is requested, then a root without a readable record is stalled, and such a child is left out.
        assert [(member.instance_id, member.status) for member in await descendants.family("r")] == found


async def test_a_member_whose_app_no_host_has_counts_as_unfinished(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Engine(make_app(), data=":memory:", settings=settings) as engine:
        await engine.facade.start("root", instance_id="r")
        await wait_for(engine, "child")
        descendants = descendants_of(engine)
        fail_to_read(engine, monkeypatch, "child", lambda address: RingUnknown("other-app"))
        assert await descendants.unfinished("r") == ("child",)


async def test_a_missing_instance_has_no_family(settings: Settings) -> None:
    async with Engine(make_app(), data=":memory:", settings=settings) as engine:
        assert await descendants_of(engine).family("nobody") == []


async def test_a_stranger_with_an_id_that_was_asked_for_does_not_belong(settings: Settings) -> None:
    async with Engine(make_app(), data=":memory:", settings=settings) as engine:
        await engine.facade.start("leaf", instance_id="grandchild")
        await engine.facade.start("root", instance_id="r")
        assert (await engine.facade.wait("child" if await _exists(engine, "child") else "r")).status is Status.FAILED
        members = [member.instance_id for member in await descendants_of(engine).family("r")]
        assert "grandchild" not in members


async def _exists(engine: Engine, instance_id: str) -> bool:
    await wait_for(engine, instance_id)
    return True
