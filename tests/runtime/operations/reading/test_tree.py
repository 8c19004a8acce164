"""Trees: an instance with its descendants, as deep and as wide as they are read."""

from typing import Any

import anyio
import pytest

from perdure import App, Engine, InstanceNotFound, Settings, WorkflowContext
from perdure.runtime.errors import InvalidRequest
from perdure.runtime.operations.reading import tree as tree_module
from perdure.runtime.operations.reading.tree import TreeNode

pytestmark = pytest.mark.anyio


def make_app() -> App:
    app = App("test")

    @app.workflow
    async def node(ctx: WorkflowContext, depth: int) -> None:
        if depth:
            await ctx.when_all([ctx.call_child_workflow(node, input=depth - 1) for _ in range(2)])
        else:
            await ctx.wait_for_external_event("go")

    @app.workflow
    async def again(ctx: WorkflowContext, n: int) -> None:
        if n:
            await ctx.call_child_workflow(done)
            ctx.continue_as_new(n - 1)
        else:
            await ctx.call_child_workflow(node, input=0)

    @app.workflow
    async def done(ctx: WorkflowContext) -> None:
        return None

    return app


@pytest.fixture
def engine(settings: Settings) -> Engine:
    return Engine(make_app(), data=":memory:", settings=settings)


async def read(engine: Engine, instance_id: str, leaves: int, **how: Any) -> TreeNode:
    """Read a tree after it has this number of leaves."""
    with anyio.fail_after(5):
        while True:
            found = await engine.views.trees.tree(instance_id, **how)
            if len(ends(found)) >= leaves:
                return found
            await anyio.sleep(0.005)


def ends(node: TreeNode) -> list[TreeNode]:
    return [end for child in node.children for end in ends(child)] if node.children else [node]


async def test_a_tree_has_all_descendants_with_name_and_status(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("node", instance_id="i", input="2")
        root = await read(engine, "i", 4)
    assert (root.id, root.name, root.status, root.more) == ("i", "node", "RUNNING", False)
    assert [child.id for child in root.children] == ["i:0001", "i:0002"]
    assert [leaf.id for leaf in ends(root)] == ["i:0001:0001", "i:0001:0002", "i:0002:0001", "i:0002:0002"]


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
async def test_a_tree_that_is_deeper_says_so(engine: Engine, depth: int) -> None:
    async with engine:
        await engine.facade.start("node", instance_id="i", input="2")
        await read(engine, "i", 4)
        found = await engine.views.trees.tree("i", depth)
    assert len(ends(found)) == min(4, 2**depth)
    assert [leaf.more for leaf in ends(found)] == [depth < 2] * min(4, 2**depth)


async def test_a_tree_that_is_larger_is_cut_and_says_where(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    async with engine:
        await engine.facade.start("node", instance_id="i", input="2")
        await read(engine, "i", 4)
        monkeypatch.setattr(tree_module, "TREE_MAX", 5)
        found = await engine.views.trees.tree("i")
    first, second = found.children
    assert ([len(first.children), len(second.children)], [first.more, second.more]) == ([2, 0], [False, True])


async def test_children_of_earlier_generations_are_there_too(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("again", instance_id="i", input="2")
        root = await read(engine, "i", 3)
    assert [child.status for child in root.children] == ["COMPLETED", "COMPLETED", "RUNNING"]


async def test_an_instance_without_children_is_a_tree(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("done", instance_id="i")
        await engine.facade.wait("i")
        assert await engine.views.trees.tree("i") == TreeNode(id="i", app_id="test", name="done", status="COMPLETED")


async def test_a_tree_of_what_is_not_there_or_of_another_depth_is_refused(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("done", instance_id="nobody else")
        with pytest.raises(InstanceNotFound):
            await engine.views.trees.tree("nobody")
        for depth in (-1, 33):
            with pytest.raises(InvalidRequest, match="0 to 32 levels"):
                await engine.views.trees.tree("nobody else", depth)
