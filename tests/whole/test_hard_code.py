"""User code may raise, leave behind or print anything: the daemon lives, its instance ends, and the others go on."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..support.paths import ROOT
from ..support.processes.daemon import Daemon
from ..support.workflows.hard_exceptions import HARD_EXCEPTIONS

APP = """
import anyio, asyncio, os, signal, sys, threading
import perdure
from anyio import from_thread

sys.path.insert(0, {tests!r})
from hard_exceptions import HARD_EXCEPTIONS

app = perdure.App("hard")

def task(error):
    async def later():
        raise error
    return asyncio.get_running_loop().create_task(later())

def raising(error):
    def raise_it(*_):
        raise error
    return raise_it

class Given:
    def __init__(self, name):
        self.name = name

    @classmethod
    def model_validate_json(cls, text):
        raise HARD_EXCEPTIONS[__import__("json").loads(text)]()

    def model_dump(self, **_):
        raise HARD_EXCEPTIONS[self.name]()

@app.activity
def in_thread(ctx, name):
    raise HARD_EXCEPTIONS[name]()

@app.activity
async def on_loop(ctx, name):
    raise HARD_EXCEPTIONS[name]()

@app.activity
async def takes(ctx, given: Given):
    return 1

@app.activity
async def gives(ctx, name):
    return Given(name)

@app.activity(executor="process")
def in_process(ctx, name):
    raise HARD_EXCEPTIONS[name]()

@app.activity
async def leaves(ctx, name):
    loop, error = asyncio.get_running_loop(), HARD_EXCEPTIONS[name]()
    app.kept = [task(error)]
    loop.call_soon(raising(error))
    loop.call_later(0.001, raising(error))
    task(ValueError("x")).add_done_callback(raising(error))
    return name

@app.activity
def leaves_from_thread(ctx, name):
    from_thread.run_sync(raising(HARD_EXCEPTIONS[name]()))

@app.activity
async def stops_the_loop(ctx, name):
    asyncio.get_running_loop().stop()

@app.workflow
async def by_activities(ctx, name):
    failed = []
    raising = ("in_thread", "on_loop", "in_process", takes, "gives")
    for activity in (*raising, "leaves", "leaves_from_thread", "stops_the_loop"):
        try:
            await ctx.call_activity(activity, input=name)
        except perdure.TaskFailedError as error:
            failed.append(str(activity if isinstance(activity, str) else "takes"))
    return failed

@app.workflow
async def by_itself(ctx, name):
    raise HARD_EXCEPTIONS[name]()

@app.workflow
def by_generator(ctx, name):
    yield ctx.create_timer(ctx.current_utc_datetime)
    raise HARD_EXCEPTIONS[name]()

@app.workflow
async def by_result(ctx, name):
    return Given(name)

@app.workflow
async def by_input(ctx, given: Given):
    return 1

@app.workflow
async def by_task(ctx, name):
    task(HARD_EXCEPTIONS[name]())
    return name

@app.workflow
async def by_clean_up(ctx, name):
    try:
        await ctx.wait_for_external_event("never")
    finally:
        raise HARD_EXCEPTIONS[name]()

@app.workflow
async def innocent(ctx, n):
    await ctx.wait_for_external_event("go")
    return n
"""

OUTCOMES = {
    "by_activities": "COMPLETED",
    "by_itself": "FAILED",
    "by_generator": "FAILED",
    "by_result": "FAILED",
    "by_input": "FAILED",
    "by_task": "COMPLETED",
}


def id_of(workflow: str, name: str) -> str:
    return f"{workflow}-{name.replace(' ', '-')}"


def test_every_exception_everywhere_leaves_the_daemon_alive_before_and_after_a_restart(tmp_path: Path) -> None:
    # Given a daemon with an innocent instance, which has another activation after the restart,
    app, data = tmp_path / "app.py", tmp_path / "p.db"
    app.write_text(APP.replace("{tests!r}", repr(str(ROOT / "tests" / "support" / "workflows"))))
    with Daemon(app, data) as daemon:
        daemon.start("innocent", "innocent", 1)
        # when user code raises each kind of exception in each place,
        for name in HARD_EXCEPTIONS:
            for workflow in OUTCOMES:
                daemon.start(workflow, id_of(workflow, name), name)
            daemon.start("by_clean_up", id_of("by_clean_up", name), name)
        # then each instance ends, and its failure names the exception,
        for name in HARD_EXCEPTIONS:
            for workflow, status in OUTCOMES.items():
                daemon.wait_for(id_of(workflow, name), status)
            done = daemon.get(id_of("by_activities", name))
            failed = json.loads(done["properties"]["dapr.workflow.output"])
            assert failed[:5] == ["in_thread", "on_loop", "in_process", "takes", "gives"], name
        # and the daemon stops in order, and deactivates the instances that wait.
        assert daemon.stop() == 0
    with Daemon(app, data) as daemon:
        daemon.post("innocent", "raiseEvent/go")
        assert daemon.wait_for("innocent", "COMPLETED")["properties"]["dapr.workflow.output"] == "1"
        assert daemon.get(id_of("by_clean_up", "interrupt"))["runtimeStatus"] == "RUNNING"
        assert daemon.stop() == 0
    log = data.with_suffix(".log").read_text()
    assert "an error of user code would have ended the event loop; the loop continues: SystemExit: 3" in log
    assert "code of the app has called stop() of the daemon's event loop; nothing was done" in log
    assert "Logging error" not in log


def test_what_activities_in_processes_print_and_log_is_in_the_daemons_log(tmp_path: Path) -> None:
    app, data = tmp_path / "app.py", tmp_path / "p.db"
    app.write_text(
        "import logging, os, sys, perdure\n"
        "app = perdure.App('prints')\n"
        "@app.activity(executor='process')\n"
        "def work(ctx):\n"
        "    print('PRINTED')\n"
        "    os.system('echo BY A PROGRAM')\n"
        "    print('WRITTEN', file=sys.stderr)\n"
        "    logging.getLogger('shop').info('LOGGED')\n"
        "    return 'done'\n"
        "@app.workflow\n"
        "async def run(ctx): return await ctx.call_activity(work)\n"
    )
    with Daemon(app, data, "--log-format", "json") as daemon:
        daemon.start("run", "order-1")
        daemon.wait_for("order-1", "COMPLETED")
        daemon.stop()
    log = data.with_suffix(".log").read_text()
    # gRPC logs a line when a process is forked.
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    said = {line["message"].removeprefix("activity 'work' of 'order-1': "): line for line in lines}
    for text in ("PRINTED", "BY A PROGRAM", "WRITTEN", "LOGGED"):
        assert (said[text]["instance_id"], said[text]["activity"]) == ("order-1", "work")
    assert said["LOGGED"]["logger"] == "shop"


EMBEDDED = """
import asyncio, sys
import anyio, perdure

app = perdure.App("embedded")

@app.activity
async def waits(ctx):
    print("waiting", flush=True)
    await anyio.sleep(600)

@app.workflow
async def run(ctx):
    await ctx.call_activity(waits)

async def main():
    settings = perdure.Settings(stop_grace_s=0.1)
    async with perdure.Engine(app, data={data!r}, settings=settings) as engine:
        await engine.client.start(run, instance_id="i")
        try:
            await anyio.sleep(600)
        finally:
            with anyio.CancelScope(shield=True):
                print((await engine.client.get("i")).status.name, flush=True)

{runner}(main{call})
"""


@pytest.mark.parametrize(("runner", "call"), [("asyncio.run", "()"), ("anyio.run", "")])
def test_ctrl_c_ends_a_program_that_embeds_the_engine(tmp_path: Path, runner: str, call: str) -> None:
    # Given a program with an engine, whose activity waits,
    program = EMBEDDED.format(data=str(tmp_path / "e.db"), runner=runner, call=call)
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        # when Ctrl-C is pressed, then it ends at once, and no activity has failed by it.
        began_s = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - began_s < 10
    assert out == "RUNNING\n"
    assert err.rstrip().endswith("KeyboardInterrupt")
