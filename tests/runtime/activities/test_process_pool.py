"""A worker process performs one activity at a time; its streams are the activity's, and its end is a failure."""

import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import psutil
import pytest

from perdure.runtime.activities.process_call import Reference
from perdure.runtime.activities.process_pool import ProcessPool, WorkerProcess
from perdure.runtime.authoring.fence import Performed

pytestmark = pytest.mark.anyio

APP = r"""
import ctypes, logging, multiprocessing, os, signal, subprocess, sys, threading, time

def pid(ctx):
    return os.getpid()

def say(ctx, how):
    if how == "print":
        print("said")
    elif how == "unfinished":
        sys.stdout.write("said")
    elif how == "system":
        os.system("echo said")
    elif how == "child":
        subprocess.run(["sh", "-c", "echo said > /dev/stderr"], check=True)
    elif how == "descriptor":
        os.write(1, b"said\n")
    elif how == "c library":
        library = ctypes.CDLL(None)
        library.puts(b"said")
        library.fflush(None)
    elif how == "stderr":
        sys.stderr.write("said\n")
    elif how == "fork":
        if os.fork() == 0:
            print("said")
            sys.exit()
        os.wait()
    elif how == "thread":
        thread = threading.Thread(target=print, args=("said",))
        thread.start()
        thread.join()
    elif how == "multiprocessing":
        child = multiprocessing.get_context("fork").Process(target=print, args=("said",))
        child.start()
        child.join()
    elif how == "bytes":
        sys.stdout.buffer.write(b"said \xff\n")
    return how

def reads(ctx):
    return [sys.stdin.read(), subprocess.run(["cat"], capture_output=True, text=True).stdout]

def logs(ctx):
    try:
        raise LookupError("nothing there")
    except LookupError:
        logging.getLogger("shop.stock").exception("no %s", "apples", extra={"shelf": 7})

def much(ctx):
    for _ in range(300):
        os.write(2, b"x" * 10_000)
    return "much"

def ends(ctx, how):
    print("last words", flush=True)
    if how == "exit":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "crash":
        ctypes.string_at(0)
    if how == "channel":
        os.closerange(3, 100)

def closes(ctx, which):
    os.close(which)
    return which

def spoils(ctx):
    sys.stdout = sys.stderr = sys.stdin = None
    return "spoiled"

def interrupted(ctx):
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), number)
    return subprocess.run([sys.executable, "-c", "import signal; print(signal.getsignal(2))"],
                          capture_output=True, text=True).stdout

def forks_and_goes_on(ctx):
    parent = os.getpid()
    if os.fork() != 0:
        os.wait()
    return os.getpid() == parent

def waits(ctx, file):
    child = subprocess.Popen(["sleep", "600"])
    with open(file + ".new", "w") as out:
        out.write(str(child.pid))
    os.rename(file + ".new", file)
    time.sleep(600)
"""


class Elsewhere:
    """A pool, and an app that only its workers import."""

    def __init__(self, pool: ProcessPool, app: Path) -> None:
        self.pool = pool
        self.app = app

    async def call(self, function: str, payload: str | None = None, instance_id: str = "i") -> Performed:
        call = (instance_id, 1, "x-1", function)
        return await self.pool.perform(Reference("app_of_workers", function, str(self.app)), call, payload)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    file = tmp_path / "app_of_workers.py"
    file.write_text(APP)
    return file


@asynccontextmanager
async def pool_of(app: Path) -> AsyncIterator[Elsewhere]:
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            yield Elsewhere(ProcessPool(tasks), app)
            tasks.cancel_scope.cancel()


async def test_an_idle_worker_performs_the_next_activity_and_ends_with_the_pool(app: Path) -> None:
    async with pool_of(app) as elsewhere:
        first, second = [(await elsewhere.call("pid")).result for _ in range(2)]
        assert first == second
        assert int(first or 0) != os.getpid()
    assert not psutil.pid_exists(int(first or 0))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_all_that_is_printed_is_in_the_log_with_the_activity_before_the_result(
    app: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ways = ("print", "unfinished", "system", "child", "descriptor", "c library", "stderr", "fork", "thread")
    async with pool_of(app) as elsewhere:
        for number, how in enumerate((*ways, "multiprocessing", "bytes")):
            caplog.clear()
            performed = await elsewhere.call("say", f'"{how}"', instance_id=f"i{number}")
            assert performed == Performed(f'"{how}"', None)
            (record,) = [each for each in caplog.records if "said" in each.getMessage()]
            assert record.getMessage().startswith(f"activity 'say' of 'i{number}': said"), how
            fields = vars(record)
            assert (fields["instance_id"], fields["activity"]) == (f"i{number}", "say")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_without_a_log_what_is_printed_goes_to_standard_error(
    app: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with pool_of(app) as elsewhere:
        await elsewhere.call("say", '"print"')
    assert capsys.readouterr().err == "said\n"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_workers_log_arrives_here_with_its_traceback_and_its_fields(
    app: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with pool_of(app) as elsewhere:
        await elsewhere.call("logs")
    (record,) = [each for each in caplog.records if each.name == "shop.stock"]
    assert (record.levelname, record.getMessage()) == ("ERROR", "no apples")
    assert "LookupError: nothing there" in (record.exc_text or "")
    assert vars(record)["shelf"] == 7
    assert vars(record)["instance_id"] == "i"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_user_code_has_an_empty_input_and_may_print_without_end(
    app: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "perdure")
    async with pool_of(app) as elsewhere:
        assert (await elsewhere.call("reads")).result == '["",""]'
        assert (await elsewhere.call("much")).result == '"much"'
    printed = sum(record.getMessage().count("x") for record in caplog.records)
    assert printed == 3_000_000


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_worker_that_ends_is_a_failure_that_says_how_and_the_next_activity_has_another(
    app: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with pool_of(app) as elsewhere:
        for how, said in (
            ("exit", "ended with exit code 3"),
            ("kill", "was ended by SIGKILL"),
            ("crash", "was ended by SIGSEGV"),
            ("channel", "before it answered"),
        ):
            failure = (await elsewhere.call("ends", f'"{how}"')).failure
            assert failure is not None
            assert failure.error_type == "BrokenWorkerProcess"
            assert said in failure.message
            assert (await elsewhere.call("pid")).failure is None
    assert caplog.text.count("last words") == 4


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_code_that_spoils_its_streams_spoils_no_answer(app: Path) -> None:
    async with pool_of(app) as elsewhere:
        for function, payload, result in (
            ("closes", "0", "0"),
            ("closes", "1", "1"),
            ("spoils", None, '"spoiled"'),
            ("closes", "2", "2"),
            ("say", '"nothing"', '"nothing"'),
        ):
            assert await elsewhere.call(function, payload) == Performed(result, None)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_signals_do_not_reach_an_activity_and_its_programs_have_the_usual_handlers(app: Path) -> None:
    async with pool_of(app) as elsewhere:
        result = (await elsewhere.call("interrupted")).result
    assert result is not None
    assert "default_int_handler" in result


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_forked_child_does_not_answer_for_its_parent(app: Path) -> None:
    async with pool_of(app) as elsewhere:
        assert (await elsewhere.call("forks_and_goes_on")).result == "true"
        assert (await elsewhere.call("forks_and_goes_on")).result == "true"


async def test_a_cancelled_activity_is_killed_with_the_programs_that_it_has_started(app: Path, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    async with pool_of(app) as elsewhere:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(elsewhere.call, "waits", f'"{file}"')
            while not file.exists():
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        child = int(file.read_text())
        while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
            await anyio.sleep(0.01)
        assert (await elsewhere.call("pid")).failure is None


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_worker_that_died_while_it_was_idle_fails_nothing(app: Path) -> None:
    async with pool_of(app) as elsewhere:
        pid = int((await elsewhere.call("pid")).result or 0)
        psutil.Process(pid).kill()
        assert int((await elsewhere.call("pid")).result or 0) != pid


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_worker_that_is_idle_for_long_is_ended(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given two workers that are idle,
    async with pool_of(app) as elsewhere:
        pids: list[int] = []

        async def call(function: str) -> None:
            pids.append(int((await elsewhere.call(function)).result or 0))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, "pid")
            tasks.start_soon(call, "pid")
        # when a third activity needs one of them after that time,
        monkeypatch.setattr(ProcessPool, "IDLE_MAX_S", -1.0)
        used = int((await elsewhere.call("pid")).result or 0)
        # then the other worker ends.
        (other,) = {*pids} - {used}
        while psutil.pid_exists(other):
            await anyio.sleep(0.01)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_process_that_cannot_be_started_is_a_failure_that_says_why(
    app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pool_of(app) as elsewhere:
        for executable, said in (("/no/such/python", "No such file"), ("/bin/false", "ended with exit code")):
            monkeypatch.setattr(sys, "executable", executable)
            failure = (await elsewhere.call("pid")).failure
            assert failure is not None
            assert "could not be started" in failure.message
            assert said in failure.message
        monkeypatch.setattr(WorkerProcess, "START_MAX_S", 0.05)
        sleeper = app.with_name("sleeper")
        sleeper.write_text("#!/bin/sh\nexec sleep 600\n")
        sleeper.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(sleeper))
        failure = (await elsewhere.call("pid")).failure
        assert failure is not None
        assert "was ended by SIGKILL before it was ready" in failure.message
