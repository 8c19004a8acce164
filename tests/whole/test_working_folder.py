"""An app that changes the working folder moves neither the files of its daemon nor the processes of its activities."""

import json
import signal
import time
from pathlib import Path

import httpx
import pytest

from ..support.processes.daemon import Daemon

APP = """
import os
import perdure
from elsewhere import where

os.chdir(os.environ["AWAY"])
app = perdure.App("folders")

@app.activity
async def move(ctx, folder):
    os.chdir(folder)

app.activity(executor="process")(where)

@app.workflow
async def ask(ctx, folder):
    await ctx.call_activity(move, input=folder)
    return await ctx.call_activity(where)
"""

# A separate module, so that the process does not change the folder when it imports the app.
ELSEWHERE = """
import os

def where(ctx, value=None):
    return os.getcwd()
"""


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_all_stays_where_the_daemon_was_started(tmp_path: Path, processes: int) -> None:
    # Given a daemon with relative paths, whose app changes the folder while it is imported and later,
    home, away, further = (tmp_path / name for name in ("home", "away", "further"))
    for folder in (home, away, further):
        folder.mkdir()
    (home / "app.py").write_text(APP)
    (home / "elsewhere.py").write_text(ELSEWHERE)
    (home / "tokens").write_text("first\n")
    (home / "tokens").chmod(0o600)

    def daemon() -> Daemon:
        flags = ("--data", "p.db", "--api-token-file", "tokens", "--processes", str(processes))
        started = Daemon(home / "app.py", home / "p.db", *flags, env={"AWAY": str(away)})
        started._http.headers["dapr-api-token"] = (home / "tokens").read_text().strip()
        return started

    with daemon() as first:
        # when an activity runs in a process, then it begins in the folder in which the daemon was started;
        assert first.start("ask", "i", str(further)).status_code == 202
        state = first.wait_for("i", "COMPLETED")
        assert json.loads(state["properties"]["dapr.workflow.output"]) == str(home)
        # the tokens are read again from the same file;
        (home / "tokens").write_text("second\n")
        first.process.send_signal(signal.SIGHUP)
        health = f"{first.url}/v1.0/metadata"
        while httpx.get(health, headers={"dapr-api-token": "second"}).status_code == 401:
            time.sleep(0.02)
        first.kill()
    # and all files are in that folder, also after a kill.
    assert {path.name for path in home.iterdir()} >= {"p.db", "p.db.id", "p.db.lock", "p.db.flight"}
    assert list(away.iterdir()) == list(further.iterdir()) == []
    with daemon() as second:
        assert second.get("i")["runtimeStatus"] == "COMPLETED"
        assert second.stop() == 0
    assert list(away.iterdir()) == list(further.iterdir()) == []
