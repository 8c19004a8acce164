"""Every example runs as it stands, and does what its first lines say."""

import importlib.util
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import httpx
import perdure
import pytest
from starlette.types import Receive, Scope, Send

EXAMPLES = Path(__file__).parent.parent / "examples"

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import an example by its file, for the length of a test."""
    spec = importlib.util.spec_from_file_location(Path(name).stem, EXAMPLES / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


async def test_hello_greets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = load("hello.py", monkeypatch).app
    async with perdure.Engine(app, data=str(tmp_path / "perdure.db")) as engine:
        assert await engine.client.run("hello", input="Ada") == "Hello, Ada!"


async def test_fan_out_counts_the_words_of_all_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = load("fan_out_fan_in.py", monkeypatch).app
    async with perdure.Engine(app, data=str(tmp_path / "perdure.db")) as engine:
        counts = await engine.client.run("count_words", input=["to be or not to be", "that is the question", "be"])
    assert counts == {"be": 3, "to": 2, "or": 1, "not": 1, "that": 1, "is": 1, "the": 1, "question": 1}


async def test_monitor_goes_on_until_the_site_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a site that is up at the third look,
    module = load("monitor.py", monkeypatch)
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
    async with perdure.Engine(module.app, data=str(tmp_path / "perdure.db")) as engine:
        output = await engine.client.run("watch_site", input={"url": "http://shop.example", "every_s": 0.01})
    # then it took three generations.
    assert output == "http://shop.example is up, after 3 checks"


async def test_saga_books_everything_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = load("saga.py", monkeypatch).app
    async with perdure.Engine(app, data=str(tmp_path / "perdure.db")) as engine:
        trip = await engine.client.run("book_trip", input={"traveller": "Ada", "places": ["hotel", "flight"]})
        assert [booking.split(" booked under ")[0] for booking in trip["booked"]] == ["hotel", "flight"]
        trip = await engine.client.run("book_trip", input={"traveller": "Ada", "places": ["hotel", "flight", "moon"]})
        assert trip == {"traveller": "Ada", "booked": [], "reason": "nobody flies to the moon"}


async def test_generator_style_races_an_event_against_a_timer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = load("generator_style.py", monkeypatch).app
    async with perdure.Engine(app, data=str(tmp_path / "perdure.db")) as engine:
        instance_id = await engine.client.start("race", input=3)
        await engine.client.raise_event(instance_id, "go")
        state = await engine.client.wait(instance_id)
        assert state.output == {"squares": [0, 1, 4], "started_by": "event"}


class OrderShop:
    """The order example, in a hurry and with books of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.module = load("order_processing.py", monkeypatch)
        self.books = folder / "books"
        self.data = str(folder / "perdure.db")
        monkeypatch.setattr(self.module, "DEED_S", 0.0)
        monkeypatch.setattr(self.module, "BOOKS", anyio.Path(self.books))

    async def order(self, quantity: int, decision: Any) -> Any:
        async with perdure.Engine(self.module.app, data=self.data) as engine:
            order = {"Name": "Paperclips", "TotalCost": 99.95, "Quantity": quantity}
            instance_id = await engine.client.start("OrderProcessingWorkflow", input=order)
            if decision is not None:
                await engine.client.raise_event(instance_id, "Approval", decision)
            return (await engine.client.wait(instance_id)).output

    def deeds(self) -> list[str]:
        return sorted(path.name.split("-")[0] for path in self.books.glob("*"))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OrderShop:
    return OrderShop(tmp_path, monkeypatch)


async def test_order_processing_ships_what_is_approved(shop: OrderShop) -> None:
    output = await shop.order(4, {"approved": True})
    assert output["processed"] is True
    assert shop.deeds() == ["charge", "reserve", "ship"]


async def test_order_processing_releases_what_is_not_approved(shop: OrderShop) -> None:
    assert await shop.order(4, {"approved": False}) == {"processed": False, "reason": "not approved"}
    assert shop.deeds() == ["release", "reserve"]


async def test_order_processing_releases_what_nobody_approves(shop: OrderShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop.module, "PATIENCE", timedelta(milliseconds=10))
    assert (await shop.order(4, None))["processed"] is False
    assert shop.deeds() == ["release", "reserve"]


async def test_order_processing_refuses_what_is_not_in_stock(shop: OrderShop) -> None:
    assert await shop.order(400, None) == {"processed": False, "reason": "only 100 Paperclips are left"}
    assert shop.deeds() == []


async def test_an_engine_lives_inside_a_web_application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = load("embedded_fastapi_style.py", monkeypatch)
    async with module.lifespan(module.web) as state:

        async def web(scope: Scope, receive: Receive, send: Send) -> None:
            # What a server does with the state that a lifespan yields.
            await module.web(dict(scope) | {"state": dict(state)}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://shop") as client:
            assert (await client.post("/greetings/ada")).status_code == 202
            answer = await client.get("/greetings/ada")
    assert (answer.status_code, answer.json()) == (200, {"status": "COMPLETED", "greeting": "Hello, ada!"})


@pytest.mark.slow
def test_the_demo_goes_as_told() -> None:
    result = subprocess.run([sys.executable, EXAMPLES / "demo.py"], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert "demo.py" in {path.name for path in EXAMPLES.glob("*.py")}
