"""The daemon hears SIGTERM and SIGINT whatever code of the app does to their handlers."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from perdure.daemon.process.signal_guard import guard_signals

from ...support.processes.lines import Lines, ended

APP = """
import signal
import perdure
app = perdure.App("deaf")

@app.activity
async def deafen(ctx):
    signal.signal(signal.SIGTERM, signal.{handler})
    signal.signal(signal.SIGINT, signal.{handler})

@app.workflow
async def deafened(ctx, given=None):
    await ctx.call_activity(deafen)
"""


@pytest.mark.parametrize(("told", "handler"), [(signal.SIGTERM, "SIG_IGN"), (signal.SIGINT, "SIG_DFL")])
def test_an_activity_that_takes_the_signals_does_not_keep_them(
    tmp_path: Path, told: signal.Signals, handler: str
) -> None:
    (tmp_path / "deaf.py").write_text(APP.format(handler=handler))
    process = subprocess.Popen(
        [sys.executable, "-m", "perdure", "run", "deaf.py", "--http-port", "0", "--grpc-port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = Lines(process.stdout), Lines(process.stderr)
    url = out.hear("Perdure ready", err).split("http=")[1].split()[0]
    urllib.request.urlopen(f"{url}/v1.0/workflows/dapr/deafened/start", b"").close()  # noqa: S310
    err.hear("had replaced the handler of SIGTERM")
    err.hear("had replaced the handler of SIGINT")
    process.send_signal(told)
    assert ended(process, out, err) == 0
    assert told.name in "\n".join(err.said)


def test_another_thread_than_the_main_one_leaves_the_signals_alone() -> None:
    async def main() -> None:
        with anyio.fail_after(10):
            await anyio.to_thread.run_sync(lambda: anyio.run(guard_signals))

    anyio.run(main)
