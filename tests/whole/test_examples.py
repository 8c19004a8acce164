"""Every example runs unchanged, and does what its first lines say."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import httpx
import pytest
from starlette.types import Receive, Scope, Send

import perdure

from ..support.examples import SEEDS
from ..support.paths import ROOT

EXAMPLES = ROOT / "examples"

Load = Callable[[str], ModuleType]
Host = Callable[[ModuleType], perdure.Engine]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Import an example by its file, for the length of a test."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(Path(name).stem, EXAMPLES / name)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def host(tmp_path: Path, settings: perdure.Settings) -> Host:
    """Make the engine that an example runs on."""
    return lambda module: perdure.Engine(module.app, data=tmp_path / "perdure.db", settings=settings)


@pytest.mark.anyio
async def test_hello_greets(load: Load, host: Host) -> None:
    async with host(load("hello.py")) as engine:
        assert await engine.client.run("hello", input="Ada") == "Hello, Ada!"


@pytest.mark.anyio
async def test_fan_out_counts_the_words_of_all_texts(load: Load, host: Host) -> None:
    texts = ["to be or not to be", "that is the question", "be"]
    async with host(load("fan_out_fan_in.py")) as engine:
        counts = await engine.client.run("count_words", input=texts)
    assert counts == {"be": 3, "to": 2, "or": 1, "not": 1, "that": 1, "is": 1, "the": 1, "question": 1}


@pytest.mark.anyio
async def test_monitor_goes_on_until_the_site_is_up(load: Load, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a site that is up at the third look,
    module = load("monitor.py")
    looks = iter([False, False, True])

    class Answer:
        status = 200

        def __enter__(self) -> "Answer":
            if not next(looks):
                raise OSError("no route to host")
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(module.urllib.request, "urlopen", lambda url, timeout: Answer())
    # when it is watched,
    async with host(module) as engine:
        output = await engine.client.run("watch_site", input={"url": "http://shop.example", "every_s": 0.01})
    # then it took three generations.
    assert output == "http://shop.example is up, after 3 checks"


@pytest.mark.anyio
async def test_saga_books_everything_or_nothing(load: Load, host: Host) -> None:
    async with host(load("saga.py")) as engine:
        trip = await engine.client.run("book_trip", input={"traveller": "Ada", "places": ["hotel", "flight"]})
        assert [booking.split(" booked under ")[0] for booking in trip["booked"]] == ["hotel", "flight"]
        trip = await engine.client.run("book_trip", input={"traveller": "Ada", "places": ["hotel", "flight", "moon"]})
        assert trip == {"traveller": "Ada", "booked": [], "reason": "nobody flies to the moon"}


@pytest.mark.anyio
async def test_generator_style_races_an_event_against_a_timer(load: Load, host: Host) -> None:
    async with host(load("generator_style.py")) as engine:
        instance_id = await engine.client.start("race", input=3)
        await engine.client.raise_event(instance_id, "go")
        state = await engine.client.wait(instance_id)
    assert state.output == {"squares": [0, 1, 4], "started_by": "event"}


@pytest.mark.anyio
async def test_an_engine_lives_inside_a_web_application(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = load("embedded_fastapi_style.py")
    async with module.lifespan(module.web) as state:

        async def web(scope: Scope, receive: Receive, send: Send) -> None:
            # As a server does with the state that a lifespan yields.
            await module.web(dict(scope) | {"state": dict(state)}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://shop") as client:
            assert (await client.post("/greetings/ada")).status_code == 202
            answer = await client.get("/greetings/ada")
    assert (answer.status_code, answer.json()) == (200, {"status": "COMPLETED", "greeting": "Hello, ada!"})


class Shop:
    """The order example with short times and its own books."""

    def __init__(self, module: ModuleType, host: Host, books: Path) -> None:
        self.module = module
        self.host = host
        self.books = books

    async def order(self, quantity: int, decision: Any) -> Any:
        async with self.host(self.module) as engine:
            order = {"Name": "Paperclips", "TotalCost": 99.95, "Quantity": quantity}
            instance_id = await engine.client.start("OrderProcessingWorkflow", input=order)
            if decision is not None:
                await engine.client.raise_event(instance_id, "Approval", decision)
            return (await engine.client.wait(instance_id)).output

    def deeds(self) -> list[str]:
        return sorted(path.name.split("-")[0] for path in self.books.glob("*"))


@pytest.fixture
def shop(load: Load, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    module, books = load("order_processing.py"), tmp_path / "books"
    monkeypatch.setattr(module, "DEED_S", 0.0)
    monkeypatch.setattr(module, "BOOKS", anyio.Path(books))
    return Shop(module, host, books)


@pytest.mark.anyio
async def test_order_processing_ships_what_is_approved(shop: Shop) -> None:
    output = await shop.order(4, {"approved": True})
    assert output["processed"] is True
    assert shop.deeds() == ["charge", "reserve", "ship"]


@pytest.mark.anyio
async def test_order_processing_releases_what_is_not_approved(shop: Shop) -> None:
    assert await shop.order(4, {"approved": False}) == {"processed": False, "reason": "not approved"}
    assert shop.deeds() == ["release", "reserve"]


@pytest.mark.anyio
async def test_order_processing_releases_an_order_without_approval(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop.module, "PATIENCE", timedelta(milliseconds=10))
    assert (await shop.order(4, None))["processed"] is False
    assert shop.deeds() == ["release", "reserve"]


@pytest.mark.anyio
async def test_order_processing_releases_what_cannot_be_paid(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a bank that declines each try,
    do_once = shop.module.do_once

    async def decline(ctx: perdure.ActivityContext, deed: str, what: str) -> str:
        if deed == "charge":
            raise perdure.NonRetryableError("the card was declined")
        receipt: str = await do_once(ctx, deed, what)
        return receipt

    monkeypatch.setattr(shop.module, "do_once", decline)
    # when an order is approved, then it is undone.
    assert await shop.order(4, {"approved": True}) == {"processed": False, "reason": "the card was declined"}
    assert shop.deeds() == ["release", "reserve"]


@pytest.mark.anyio
async def test_order_processing_refuses_what_is_not_in_stock(shop: Shop) -> None:
    assert await shop.order(400, None) == {"processed": False, "reason": "only 100 Paperclips are left"}
    assert shop.deeds() == []


def test_the_demo_goes_as_told() -> None:
    result = subprocess.run([sys.executable, EXAMPLES / "demo.py"], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "All of it went as told" in result.stdout


def test_the_simulations_of_the_examples_are_green(tmp_path: Path) -> None:
    # They are run as their first lines say, with no plugin but perdure's; each prints what it has tried.
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, f"--rootdir={tmp_path}"]
    command += ["-p", "perdure.testing.plugin", *SEEDS, "simulations"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(command, check=False, capture_output=True, text=True, cwd=EXAMPLES, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for file in (EXAMPLES / "simulations").glob("test_*.py"):
        assert f"{file.name}::" in ran.stdout


def test_every_example_of_workflows_has_a_simulation() -> None:
    # The other two start a daemon and a web application.
    without = {"demo", "embedded_fastapi_style"}
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert {path.stem.removeprefix("test_") for path in (EXAMPLES / "simulations").glob("*.py")} == names - without
