"""A worker process keeps the daemon's messages apart from its streams, and ends with the daemon."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from perdure.runtime.activities.worker_process import Channel, Forward
from perdure.runtime.activities.worker_protocol import DONE, LENGTH, LOGGED, READY, packed, unpacked

WORKER = [sys.executable, "-m", "perdure.runtime.activities.worker_process"]
MARK = b"\x00mark\n"

APP = """
import os, time
print("imported")

def work(ctx, n):
    print("working", flush=True)
    return n + 1

def waits(ctx, file):
    with open(file, "w"):
        pass
    time.sleep(600)
"""


class Worker:
    """A worker process, and its two ends."""

    def __init__(self, app: Path, **more: Any) -> None:
        self.app = app
        self.process = subprocess.Popen(
            WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.to, self.answers = self.process.stdin, self.process.stdout

    def send(self, *message: Any) -> None:
        self.to.write(packed(message))
        self.to.flush()

    def call(self, function: str, payload: str) -> None:
        self.send(("app_of_worker", function, str(self.app)), ("i", 1, "x-1", function), payload)

    def receive(self) -> Any:
        (length,) = LENGTH.unpack(self.answers.read(LENGTH.size))
        return unpacked(self.answers.read(length))


@pytest.fixture
def app(tmp_path: Path) -> Path:
    file = tmp_path / "app_of_worker.py"
    file.write_text(APP)
    return file


def test_messages_go_one_way_and_what_is_printed_another(app: Path) -> None:
    worker = Worker(app)
    # Given a worker that is ready,
    assert worker.answers.read(len(READY)) == READY
    worker.send(sys.path, logging.INFO, MARK)
    # when it performs an activity,
    worker.call("work", "4")
    # then the answer is a message, and the printed text is in its output, up to the mark.
    assert worker.receive() == [DONE, "5", None, True]
    # When its channel is closed, then the worker ends.
    rest, output = worker.process.communicate(timeout=30)
    assert rest == b""
    assert output == b"imported\nworking\n" + MARK
    assert worker.process.returncode == 0


def test_text_that_has_no_form_in_utf_8_crosses_as_it_is() -> None:
    message = (LOGGED, "\ud800", 3, None)
    assert tuple(unpacked(packed(message)[LENGTH.size :])) == message


@pytest.mark.parametrize("leads", [True, False], ids=["in a session of its own", "in ours"])
def test_a_worker_ends_in_the_middle_of_an_activity_when_the_daemon_is_gone(
    app: Path, tmp_path: Path, leads: bool
) -> None:
    # Given a worker with an activity,
    worker = Worker(app, start_new_session=leads)
    worker.send(sys.path, logging.INFO, MARK)
    begun = tmp_path / "begun"
    worker.call("waits", f'"{begun}"')
    while not begun.exists():
        time.sleep(0.01)
    # when its channel ends, as it does with the daemon's process,
    worker.process.communicate(timeout=30)
    # then the activity does not continue beside the one that is performed after the restart.
    assert worker.process.returncode == (-signal.SIGKILL if leads else 1)


def test_a_pool_that_is_killed_leaves_no_worker(app: Path, tmp_path: Path) -> None:
    program = f"""
import anyio
from perdure.runtime.activities.process_call import Reference
from perdure.runtime.activities.process_pool import ProcessPool
async def main():
    async with anyio.create_task_group() as tasks:
        reference = Reference("app_of_worker", "waits", {str(app)!r})
        await ProcessPool(tasks).perform(reference, ("i", 1, "x-1", "waits"), '"{tmp_path / "begun"}"')
anyio.run(main)
"""
    daemon = subprocess.Popen([sys.executable, "-c", program])
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    (worker,) = psutil.Process(daemon.pid).children()
    daemon.kill()
    daemon.wait()
    deadline = time.monotonic() + 30
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Recorder(Channel):
    """A channel that leads nowhere."""

    def __init__(self, *, open_: bool) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.open = open_

    def send(self, message: tuple[Any, ...]) -> bool:
        if self.open:
            self.sent.append(message)
        return self.open


def record(message: object, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "shop", "msg": message, "args": args, "levelno": 30, "levelname": "WARNING"})
    vars(made).update(extra)
    return made


def test_a_log_record_crosses_with_its_fields_as_text_or_numbers() -> None:
    channel = Recorder(open_=True)
    Forward(channel).emit(record("no %s \ud800", "pears", shelf=7, where=Path("/x")))
    ((kind, name, level, _, message, error, extra),) = channel.sent
    assert (kind, name, level, message, error) == (LOGGED, "shop", 30, "no pears ?", None)
    assert extra == {"shelf": 7, "where": "/x"}


def test_without_a_channel_a_log_record_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    # As in a child that user code has forked.
    Forward(Recorder(open_=False)).emit(record("no pears"))
    assert capsys.readouterr().err == "WARNING shop: no pears\n"


def test_the_modules_of_a_worker_do_not_load_the_engine() -> None:
    # A worker begins at the first activity, and its instance waits meanwhile.
    program = "import perdure.runtime.activities.worker_process as w, sys; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True, env=os.environ)
    loaded = set(out.stdout.split())
    assert not loaded & {"grpc", "uvicorn", "starlette"}
