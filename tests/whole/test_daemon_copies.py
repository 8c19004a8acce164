"""A daemon that is a copy of a template (`tests/support/processes/template.py`) behaves as a fresh one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..support.processes.daemon import Daemon
from ..support.processes.template import Copy, is_like_this_one

copies = pytest.mark.skipif(sys.platform != "linux", reason="daemons are copies on Linux only")

ALSO = {"anyio", "asyncpg", "concurrent", "perdure", "uvicorn", "uvloop"}  # packages with more modules in a copy

# Writes the properties of its process to a file.
APP = """
import gc, json, locale, os, signal, sys, threading, time
import perdure

app = perdure.App("looks")

main = sys.modules["__main__"]
json.dump({
    "arguments": sys.argv[:2] + [os.path.basename(each) for each in sys.argv[2:3]],
    "folder": os.path.basename(os.getcwd()),
    "path": [each.replace(os.getcwd(), "here") for each in sys.path],
    "main": [main.__spec__.name, main.__file__],
    "variable": os.environ.get("OF_THIS_TEST"),
    "zone": time.strftime("%Z"),
    "signals": {name.name: str(signal.getsignal(name)).split(" at ")[0] for name in signal.valid_signals()
        if isinstance(name, signal.Signals)},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "threads": [thread.name for thread in threading.enumerate()],
    "flags": str(sys.flags),
    "files": sorted(os.readlink(f"/proc/self/fd/{each}").split(":")[0] for each in os.listdir("/proc/self/fd")
        if int(each) > 2 and os.path.exists(f"/proc/self/fd/{each}")),
    "collector": [gc.isenabled(), gc.get_threshold()],
    "encoding": [sys.stdout.encoding, sys.stderr.errors, locale.getlocale()],
    "group": os.getpgid(0),
    "modules": sorted(name for name in sys.modules if not name.startswith("tests")),
}, open("seen.json", "w"))
"""


def seen(folder: Path, *, fresh: bool) -> dict[str, Any]:
    """What an app sees of a daemon's process."""
    folder.mkdir()
    (folder / "looks.py").write_text(APP)
    variables = {"OF_THIS_TEST": "yes", "TZ": "Asia/Tokyo"}
    with Daemon(folder / "looks.py", folder / "p.db", fresh=fresh, env=variables) as daemon:
        assert isinstance(daemon.process, subprocess.Popen if fresh else Copy)
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return found


@copies
def test_an_app_sees_the_same_process(tmp_path: Path) -> None:
    # Given an app in a daemon of each kind,
    fresh, copy = (seen(tmp_path / kind, fresh=kind == "same") for kind in ("same", "copy"))

    # then both are in their own folder,
    assert (fresh.pop("folder"), copy.pop("folder")) == ("same", "copy")
    # a copy has imported all modules of a fresh one, and else only those for a store on a database,
    before, more = set(fresh.pop("modules")), set(copy.pop("modules"))
    assert before - more == set()
    assert {name.partition(".")[0] for name in more - before} <= {
        "anyio",
        "asyncpg",
        "concurrent",
        "perdure",
        "uvicorn",
        "uvloop",
    }
    # and the rest is the same.
    assert copy == fresh


@copies
@pytest.mark.parametrize(("end", "code"), [(Daemon.stop, 0), (Daemon.kill, -signal.SIGKILL)], ids=["stopped", "killed"])
def test_its_exit_code_is_told_and_its_output_ends(tmp_path: Path, end: Callable[[Daemon], object], code: int) -> None:
    # Given a copy that runs, beside another one,
    with Daemon(None, tmp_path / "p.db") as daemon, Daemon(None, tmp_path / "q.db") as other:
        assert daemon.process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            daemon.process.wait(timeout=0.05)
        output = os.dup(daemon.process.stdout.fileno()) if daemon.process.stdout is not None else -1

        # when it ends,
        end(daemon)

        # then its exit code is known, no other process holds its output, and the other copy goes on.
        assert daemon.process.poll() == daemon.process.wait(timeout=0.0) == code
        assert os.read(output, 1) == b""
        assert other.process.poll() is None
        os.close(output)


@copies
def test_a_start_that_is_refused_is_told(tmp_path: Path) -> None:
    # When a copy is to serve an app that is not there,
    with pytest.raises(AssertionError, match=r"not ready: ''; .*nowhere\.py") as refused:
        Daemon(tmp_path / "nowhere.py", tmp_path / "p.db")

    # then it has printed the error, as the command does.
    assert "Error: " in str(refused.value)


@pytest.mark.parametrize("name", ["PYTHONMALLOC", "LD_PRELOAD", "LC_ALL", "COVERAGE_PROCESS_CONFIG"])
def test_variables_that_work_before_an_import_take_a_fresh_process(name: str) -> None:
    assert not is_like_this_one({**os.environ, name: "another"})
