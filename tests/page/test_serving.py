"""The page is served wherever the API is: by several processes, by the stand-in for daprd, inside another program."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..support.processes.daemon import Daemon
from .browsing import Visitor
from .conftest import SHOP
from .stores import start

pytestmark = pytest.mark.slow

PATIENCE_S = 30.0

INSIDE = """
import uvicorn, perdure, shop
from starlette.applications import Starlette
from starlette.routing import Mount
engine = perdure.Engine(shop.app, data=":memory:")
inside = perdure.asgi(engine, api_tokens={{"ada": "secret"}})
mounted = Starlette(routes=[Mount("/tools/x y", inside)])

class Web:
    async def __call__(self, scope, receive, send):
        await (inside if scope["type"] == "lifespan" else mounted)(scope, receive, send)

uvicorn.run(Web(), port={port}, log_level="warning")
"""


def test_any_of_several_processes_shows_the_instances_of_all(browser: Any, tmp_path: Path) -> None:
    with (
        Daemon(SHOP, tmp_path / "perdure.db", "--processes", "2") as daemon,
        Visitor(browser, daemon.url) as visitor,
    ):
        visitor.open("instances")
        visitor.until("() => document.querySelector('.liveness.on')")
        for number in range(12):
            start(daemon, "Touch", f"spread-{number}", number)
        visitor.until("() => document.querySelectorAll('tbody .c-id a').length === 12")
        visitor.open("hosts")
        visitor.until("() => document.querySelectorAll('.host').length === 2")


def test_a_program_serves_it_below_a_path_of_its_own(browser: Any, tmp_path: Path) -> None:
    # Given a program that has mounted an engine's API below a path with a space, and asks for a token,
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", INSIDE.format(port=port)], cwd=SHOP.parent)
    try:
        url = f"http://127.0.0.1:{port}/tools/x%20y"
        until_served(f"{url}/ui/")
        with Visitor(browser, url) as visitor:
            visitor.page.goto(f"{url}/ui/start/Touch")
            # when one logs in there, starts an instance and looks at it, then all of it stays below that path.
            visitor.fill("Token", "secret")
            visitor.click("Log in")
            visitor.fill("Value", "7")
            visitor.fill("Id", "inside-1")
            visitor.click("Start", exact=True)
            visitor.page.locator(".facts").get_by_text("Completed").wait_for()
            assert visitor.page.url == f"{url}/ui/instances/inside-1"
            visitor.until("() => document.querySelector('.liveness.on')")
            assert [cookie["path"] for cookie in visitor.context.cookies()] == ["/tools/x%20y/api/v1"]
            # What happens meanwhile comes in, an action on all that match is done, and each view opens.
            visitor.page.goto(f"{url}/ui/instances?id_prefix=timer-")
            visitor.see("No instance matches.")
            bearer = {"authorization": "Bearer secret"}
            for number in range(3):
                wanted = f"{url}/api/v1/workflows/Renewal/instances?id=timer-{number}"
                httpx.post(wanted, content="30", headers=bearer).raise_for_status()
            visitor.until("() => document.querySelectorAll('tbody .c-id a').length === 3")
            visitor.page.get_by_label("Act on all that match").select_option("terminate")
            visitor.fill("Type the number", "3", within="dialog")
            visitor.click("Terminate 3 instances")
            visitor.see("3 of 3 terminated", within="dialog")
            visitor.click("Close", within="dialog footer")
            visitor.page.locator("tr", has_text="timer-2").get_by_text("Terminated").wait_for()
            for view, text in {"hosts": "Actors in memory", "store": "memory", "audit": "ada", "": "1 host"}.items():
                visitor.page.goto(f"{url}/ui/{view}")
                visitor.see(text)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


def test_the_stand_in_for_daprd_serves_it_unless_a_variable_says_no(tmp_path: Path) -> None:
    for variable, status in ((None, 200), ("true", 404)):
        port = free_port()
        command = [sys.executable, "-m", "perdure", "daprd", "--app-id", "shop", "--dapr-http-port", str(port)]
        command += ["--dapr-grpc-port", "0", "--metrics-port", "0"]
        more = {"PERDURE_DATA": str(tmp_path / f"{status}.db"), **({"PERDURE_NO_UI": variable} if variable else {})}
        process = subprocess.Popen(command, env={**os.environ, **more}, stdout=subprocess.DEVNULL, cwd=tmp_path)
        try:
            until_served(f"http://127.0.0.1:{port}/docs")
            assert httpx.get(f"http://127.0.0.1:{port}/ui/").status_code == status
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_S)


def test_run_serves_none_if_it_is_told_so(tmp_path: Path) -> None:
    with Daemon(SHOP, tmp_path / "perdure.db", "--no-ui") as daemon:
        assert httpx.get(f"{daemon.url}/ui/").status_code == 404
        assert "/ui/" not in httpx.get(daemon.url).text


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def until_served(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            assert httpx.get(url).status_code == 200
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return
