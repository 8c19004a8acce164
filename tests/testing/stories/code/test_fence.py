"""Real steps are refused in a world: with the line of the user's code, and with the remedy."""

import _thread
import asyncio
import fcntl
import multiprocessing
import os
import signal
import socket
import struct
import subprocess
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from perdure import ActivityContext, App, WorkflowContext
from perdure.testing import Escaped, World

from ..shop import Shop, calm


def escape(do: Any, *, plain: bool = False) -> Escaped:
    app = App("escaping")

    if plain:

        @app.activity
        def act(ctx: ActivityContext) -> None:
            do()
    else:

        @app.activity(name="act")
        async def act_async(ctx: ActivityContext) -> None:
            done = do()
            if asyncio.iscoroutine(done):
                await done

    @app.workflow
    async def w(ctx: WorkflowContext) -> None:
        await ctx.call_activity("act")

    async def story(world: World) -> None:
        await world.client.run("w", instance_id="o")

    error = calm(app, story).error
    assert isinstance(error, Escaped), error
    return error


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(
    "connect",
    [
        lambda: socket.create_connection(("api.bank.example", 443)),
        lambda: urllib.request.urlopen("https://api.bank.example/", timeout=1),
    ],
)
def test_a_connection_is_refused_with_the_line_and_the_way_out(connect: Any, plain: bool) -> None:
    said = str(escape(connect, plain=plain))
    assert said.startswith("an activity opened a connection to api.bank.example:443 (")
    assert "test_fence.py:" in said
    assert said.endswith("There is no network in a simulation: give it a fake with `world.outside`.")


@pytest.mark.parametrize(
    "connect",
    [
        lambda: anyio.connect_tcp("api.bank.example", 443),
        lambda: anyio.connect_tcp("192.0.2.1", 443),
        lambda: asyncio.open_connection("api.bank.example", 443),
        lambda: anyio.create_tcp_listener(local_port=0),
        lambda: anyio.run_process("true"),
        lambda: asyncio.create_subprocess_exec("true"),
    ],
)
def test_what_waits_is_refused_too(connect: Any) -> None:
    assert str(escape(connect)).startswith("an activity ")


def shell() -> None:
    os.system("true")  # noqa: S605


def serve() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda: subprocess.run(["true"], check=True), "started the process 'true'"),
        (shell, "started a process with os.system 'true'"),
        (serve, "bound a socket to 127.0.0.1:0"),
        (lambda: threading.Thread(target=print).start(), "started the thread"),
    ],
)
@pytest.mark.parametrize("plain", [False, True])
def test_processes_servers_and_threads_are_refused(do: Any, said: str, plain: bool) -> None:
    assert said in str(escape(do, plain=plain))


def send() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.sendmsg([b"x"], [], 0, ("192.0.2.1", 9))


def listen() -> None:
    with socket.socket() as listening:
        listening.listen()


def spawn() -> None:
    multiprocessing.get_context("spawn").Process(target=print).start()


def start_joinable_thread(function: Any) -> None:
    module: Any = _thread
    if hasattr(module, "start_joinable_thread"):  # since Python 3.13
        module.start_joinable_thread(function)
    else:
        module.start_new_thread(function, ())


POOL = ThreadPoolExecutor(1)


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (send, "sent to 192.0.2.1:9"),
        (listen, "listened for connections"),
        (lambda: socket.gethostbyaddr("192.0.2.1"), "opened a connection to 192.0.2.1"),
        (lambda: socket.getnameinfo(("192.0.2.1", 9), 0), "opened a connection to 192.0.2.1:9"),
        (spawn, "started a process"),
        (lambda: os.execv("/bin/true", ["true"]), "os.execv"),  # noqa: S606
        (lambda: os._exit(1), "called os._exit"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), "called os.kill"),
        (lambda: signal.alarm(1), "called signal.alarm"),
        (lambda: signal.raise_signal(signal.SIGTERM), "called signal.raise_signal"),
        # The wall of a world is a timer.
        (lambda: signal.setitimer(signal.ITIMER_REAL, 1), "called signal.setitimer"),
        (lambda: signal.signal(signal.SIGALRM, signal.SIG_IGN), "called signal.signal"),
        (lambda: _thread.start_new_thread(print, ()), "started a thread"),
        (lambda: start_joinable_thread(print), "started a thread"),
        # Its threads may be older than the world.
        (lambda: POOL.submit(print), "gave work to a pool of threads"),
    ],
)
@pytest.mark.parametrize("plain", [False, True])
def test_the_siblings_of_what_is_refused_are_refused(do: Any, said: str, plain: bool) -> None:
    found = str(escape(do, plain=plain))
    assert said in found
    assert "test_fence.py:" in found


CLOSED = socket.socket()
CLOSED.close()


def loops() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("add_reader", lambda: loops().add_reader(0, print)),
        ("add_signal_handler", lambda: loops().add_signal_handler(signal.SIGTERM, print)),
        ("connect_read_pipe", lambda: loops().connect_read_pipe(asyncio.Protocol, None)),
        ("set_default_executor", lambda: loops().set_default_executor(POOL)),
        ("sock_recv", lambda: loops().sock_recv(CLOSED, 1)),
        ("stop", lambda: loops().stop()),
    ],
)
def test_what_the_event_loop_of_a_world_does_not_have_is_told_by_name(name: str, use: Any) -> None:
    assert f"an activity called {name} of the event loop" in str(escape(use))


@pytest.mark.parametrize(
    "lock",
    [
        lambda file: fcntl.flock(file, fcntl.LOCK_EX),
        lambda file: fcntl.fcntl(file, fcntl.F_SETLK, struct.pack("hhqqhh", fcntl.F_WRLCK, 0, 0, 0, 0, 0)),
        lambda file: os.lockf(file.fileno(), os.F_LOCK, 0),
    ],
)
def test_a_lock_of_a_file_is_refused(tmp_path: Path, lock: Any) -> None:
    def locks() -> None:
        with (tmp_path / "lock").open("w") as file:
            lock(file)

    assert "locked a file" in str(escape(locks))


def test_a_file_itself_is_read_and_written(tmp_path: Path) -> None:
    app = App("files")

    @app.activity
    def write(ctx: ActivityContext) -> None:
        (tmp_path / "x").write_text("y")

    @app.workflow
    async def w(ctx: WorkflowContext) -> None:
        await ctx.call_activity(write)

    async def story(world: World) -> None:
        await world.client.run("w", instance_id="o")

    assert calm(app, story).error is None
    assert (tmp_path / "x").read_text() == "y"


def test_code_that_handles_the_error_does_not_hide_it() -> None:
    def swallow() -> None:
        with suppress(Exception):
            socket.create_connection(("bank", 1))

    assert "bank:1" in str(escape(swallow))


def test_the_story_is_fenced_too() -> None:
    async def story(world: World) -> None:
        socket.create_connection(("bank", 1))

    assert str(calm(Shop().app, story).error).startswith("the story opened a connection to bank:1")


def test_behind_a_world_all_is_real_again() -> None:
    before = (socket.socket.connect, subprocess.Popen.__init__, os.fork, fcntl.flock, threading.Thread.start)
    escape(shell)
    assert before == (socket.socket.connect, subprocess.Popen.__init__, os.fork, fcntl.flock, threading.Thread.start)
    assert subprocess.run(["true"], check=True).returncode == 0
