"""The Python of the documents runs: the blocks of a page in their order, in one namespace.

What the text around a block takes for granted (an app, a client) stands in `PAGES`. `await` outside of a function is
what it is in a notebook. A client's address is that of a daemon with the page's app.
"""

import ast
import asyncio
import inspect
import textwrap
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ..support.docs.blocks import Block, Command, blocks, pages
from ..support.docs.reader import Reader
from ..support.paths import ROOT
from .test_walks import WALKED_ELSEWHERE, file_of

DAEMON = "http://127.0.0.1:3500"

HELLO = """
import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import perdure

TOKEN = None
app = perdure.App("shop")


@dataclass
class Receipt:
    total: float


@app.workflow
async def greet(ctx: perdure.WorkflowContext, name: str) -> str:
    return f"Hello, {name}!"


@app.workflow
async def order(ctx: perdure.WorkflowContext, total: Any) -> Receipt:
    return Receipt(99.95)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the text around the Python of a page takes for granted.

    Args:
        app: A file of a daemon that the page's clients find; None without one. The page's code has its names too.
        before: Code that runs before a block, by the block's number from 0 on.
        after: What holds at the end.
        changes: Texts of the page, and what the test has in their place.
    """

    app: str | None = None
    before: Mapping[int, str] = field(default_factory=dict)
    after: str = ""
    changes: Mapping[str, str] = field(default_factory=dict)


PAGES = {
    "docs/embedding.md": Around(app=HELLO, after="assert receipt == {'total': 99.95} or receipt == Receipt(99.95)"),
    "docs/python-client.md": Around(
        app=HELLO,
        before={
            0: f"app = perdure.App('shop')\nclient = await stack.enter_async_context(perdure.connect('{DAEMON}'))",
            2: "order_17 = 99.95",
        },
        after="assert isinstance(receipt, Receipt) and isinstance(result, Receipt)",
    ),
    "docs/see-and-steer.md": Around(app=(ROOT / "examples/order_processing.py").read_text()),
    "docs/testing.md": Around(
        before={
            1: """
from types import SimpleNamespace


class Bank:
    def __init__(self):
        self.charges = []

    async def charge(self, order):
        self.charges.append(order)


shop_module = SimpleNamespace(bank=None)


@shop.activity(name="charge-once")
async def charge(ctx, order):
    if order not in shop_module.bank.charges:
        await shop_module.bank.charge(order)


@shop.workflow(name="buy")
async def buy(ctx, order):
    pass
""",
            2: "from hypothesis import given, settings\nfrom hypothesis import strategies as st",
            # The page's repository of git has no revision v1.2; tests/testing/test_revisions.py has real ones.
            3: "def app_at(revision, target): return shop\ndef module_at(revision, name): return SimpleNamespace()",
        },
        # As many worlds as show that it runs.
        changes={
            "@simulated(shop)": "@simulated(shop, seeds=3)",
            "from perdure.testing import app_at, module_at\n": "",
            "versions=[OLD, shop]": "versions=[OLD, shop], seeds=1",
            "max_examples=20": "max_examples=2",
            "seeds=20": "seeds=1",
        },
    ),
    "docs/traces.md": Around(
        before={
            0: """
from opentelemetry.sdk.trace import TracerProvider
from perdure import App, Engine

provider, app = TracerProvider(), App("shop")
"""
        },
        after="provider.shutdown()",
    ),
    "docs/workflows.md": Around(
        before={
            0: "import perdure\nfrom dataclasses import dataclass\napp = perdure.App('shop')\nOrder = Receipt = dict"
        },
    ),
    "docs/performance.md": Around(after="gc.unfreeze()\ngc.set_threshold(700, 10, 10)"),
}


def python(page: str) -> list[Block]:
    """The blocks of Python of a page that are not files."""
    return [block for block in blocks(page) if block.language == "python" and file_of(block) is None]


def needs_a_loop(code: Any) -> bool:
    return bool(code.co_flags & inspect.CO_COROUTINE)


def compiled(text: str, name: str, line: int = 1) -> Any:
    """Code in which `await` may stand anywhere, with the lines of its page."""
    return compile("\n" * (line - 1) + text, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def parts(page: str, url: str) -> list[Any]:
    """The code of a page, with what stands before, between and behind its blocks."""
    around = PAGES[page]
    found = [compiled(around.app or "", f"app of {page}")]
    for number, block in enumerate(python(page)):
        found.append(compiled(around.before.get(number, "").replace(DAEMON, url), f"before {block.place}"))
        text = block.text.replace(DAEMON, url)
        for old, new in around.changes.items():
            text = text.replace(old, new)
        found.append(compiled(text, block.page, block.line + 1))
    return [*found, compiled(around.after, f"behind {page}")]


async def run_all(codes: list[Any], names: dict[str, Any]) -> None:
    async with AsyncExitStack() as stack:
        names["stack"] = stack
        for code in codes:
            if (awaited := eval(code, names)) is not None:  # noqa: S307  the pages are ours
                await awaited


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    with Reader(tmp_path) as reader:
        if (app := PAGES[page].app) is not None:
            (tmp_path / "app.py").write_text(app)
            assert (
                reader.do(
                    Command(page=page, line=0, language="console", text="perdure run app.py --data daemon.db", shown=())
                ).code
                == 0
            )
        codes = parts(page, reader.url)
        if any(map(needs_a_loop, codes)):
            asyncio.run(run_all(codes, names))
        else:
            for code in codes:
                exec(code, names)  # noqa: S102  the pages are ours
    for name, test in names.items():
        if name.startswith("test_"):
            test()


def test_calls_of_another_app_run(tmp_path: Path) -> None:
    # Given the calls of the page as the code of a workflow of one app,
    (block,) = python("docs/several-apps.md")
    body = textwrap.indent(block.text, "    ")
    (tmp_path / "shop.py").write_text(
        "import perdure\napp = perdure.App('shop')\n@app.workflow\nasync def buy(ctx, order):\n"
        f"{body}    return [result, receipt]\n"
    )
    # and what they call in another,
    (tmp_path / "bank.py").write_text(
        "import perdure\napp = perdure.App('bank')\n"
        "@app.activity\nasync def charge(ctx, order):\n    return 'charged'\n"
        "@app.workflow\nasync def transfer(ctx, order):\n    return 'transferred'\n"
    )
    with Reader(tmp_path) as reader:
        assert (
            reader.do(Command(page="", line=0, language="console", text="perdure run shop.py bank.py", shown=())).code
            == 0
        )
        # when it runs, then both answer.
        said = reader.do(
            Command(page="", line=0, language="console", text="perdure start buy --id a --input 1 --wait", shown=())
        )
    assert said.text.strip() == '["charged","transferred"]'


def test_each_page_with_python_is_run() -> None:
    with_python = {page for page in pages() if python(page) and page not in WALKED_ELSEWHERE}
    assert with_python == {*PAGES, "docs/several-apps.md"}
