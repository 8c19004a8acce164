"""The store's file is deleted, damaged or overwritten under a real daemon: callers get errors, and no false promise."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from ..support.processes.daemon import Daemon

APP = """
from datetime import timedelta
import perdure
app = perdure.App("file")

@app.workflow
async def sleep(ctx):
    await ctx.create_timer(timedelta(seconds=4))

@app.workflow
async def echo(ctx, value=None):
    return value

@app.workflow
async def wait(ctx):
    await ctx.wait_for_external_event("go")
"""

RESULT = "Paperclips-Paperclips-Paperclips"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


def refusal(app: Path, data: Path) -> str:
    """The error of a daemon that cannot start."""
    command = [sys.executable, "-m", "perdure", "run", str(app), "--http-port", "0", "--grpc-port", "0"]
    ran = subprocess.run([*command, "--data", str(data)], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stdout) == (1, "")
    return ran.stderr


def health(daemon: Daemon) -> int:
    return httpx.get(f"{daemon.url}/v1.0/healthz").status_code


def test_a_second_daemon_on_the_same_file_is_refused_by_any_name(app: Path, tmp_path: Path) -> None:
    data, link = tmp_path / "p.db", tmp_path / "hard.db"
    with Daemon(app, data) as daemon:
        daemon.start("echo", "a", 1)
        os.link(data, link)
        for name in (data, link):
            assert f"{name} is in use by another Perdure process" in refusal(app, name)
        daemon.wait_for("a", "COMPLETED")
        assert daemon.stop() == 0


def test_a_store_that_is_deleted_under_its_daemon_stops_all_promises(app: Path, tmp_path: Path) -> None:
    data = tmp_path / "p.db"
    with Daemon(app, data) as daemon:
        assert daemon.start("echo", "before", 1).status_code == 202
        for suffix in ("", "-wal", "-shm"):
            Path(f"{data}{suffix}").unlink()
        answers = [daemon.start("echo", f"after-{i}", 1) for i in range(3)]
        assert [answer.status_code for answer in answers] == [503] * 3
        assert "nothing more is written" in answers[0].text
        assert health(daemon) == 500
        daemon.kill()
    # One line reports it for any number of failed requests; and no daemon begins a new store in its place.
    assert (tmp_path / "p.log").read_text().count("nothing more is written") == 1
    assert "says that there was a store" in refusal(app, data)


def test_a_store_that_goes_away_is_reported_without_a_request(app: Path, tmp_path: Path) -> None:
    data = tmp_path / "p.db"
    with Daemon(app, data) as daemon:
        data.rename(tmp_path / "elsewhere.db")
        deadline_s = time.monotonic() + 10
        while "was moved or deleted" not in (tmp_path / "p.log").read_text():
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        assert health(daemon) == 500
        daemon.kill()
    assert (tmp_path / "p.log").read_text().count("nothing more is written") == 1


@pytest.mark.parametrize("processes", [1, 2])
def test_an_instance_that_rotted_is_stalled_and_the_daemon_goes_on(app: Path, tmp_path: Path, processes: int) -> None:
    data = tmp_path / "p.db"
    options = ("--processes", str(processes))
    # Given a result in which one bit changes while no daemon runs,
    with Daemon(app, data, *options) as daemon:
        daemon.start("echo", "rotten", RESULT)
        daemon.start("echo", "sound", "sound")
        daemon.start("wait", "waiting")
        daemon.wait_for("rotten", "COMPLETED")
        daemon.wait_for("sound", "COMPLETED")
        daemon.wait_for("waiting", "RUNNING")
        assert daemon.stop() == 0
    (file,) = [path for path in (data, Path(f"{data}.1")) if path.exists() and RESULT.encode() in path.read_bytes()]
    content = bytearray(file.read_bytes())
    content[content.rfind(RESULT.encode())] ^= 1
    file.write_bytes(content)
    # then the check names the instance,
    command = [sys.executable, "-m", "perdure", "store", "check", "--data", str(data)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 1
    assert "workflow/rotten: entry" in checked.stderr
    # the instance is stalled with the reason, and the others are served.
    with Daemon(app, data, *options) as daemon:
        for _ in range(3):
            answer = httpx.get(f"{daemon.url}/v1.0/workflows/dapr/rotten")
            assert answer.json()["runtimeStatus"] == "UNKNOWN"
            assert "its rows cannot be read: entry" in answer.json()["properties"]["perdure.workflow.stall"]
            assert "aperclips" not in answer.text
        assert daemon.get("sound")["properties"]["dapr.workflow.output"] == '"sound"'
        assert daemon.post("waiting", "raiseEvent/go").status_code == 202
        daemon.wait_for("waiting", "COMPLETED")
        assert health(daemon) == 204
        assert daemon.stop() == 0


@pytest.fixture(scope="module")
def at_rest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store whose daemon has stopped, with an instance that waits and one that sleeps."""
    folder = tmp_path_factory.mktemp("at_rest")
    (folder / "app.py").write_text(APP)
    with Daemon(folder / "app.py", folder / "p.db") as daemon:
        for name in ("wait", "sleep"):
            daemon.start(name, name)
            daemon.wait_for(name, "RUNNING")
        assert daemon.stop() == 0
    return folder


@pytest.mark.parametrize("table", ["reminders", "active", "actors", "sqlite_autoindex_actors_1", "log_key"])
def test_a_page_that_is_gone_keeps_no_daemon_from_starting(at_rest: Path, tmp_path: Path, table: str) -> None:
    # Given instances that wait and sleep, and a table or an index that has lost its root,
    shutil.copytree(at_rest, tmp_path, dirs_exist_ok=True)
    app, data = tmp_path / "app.py", tmp_path / "p.db"
    with closing(sqlite3.connect(data)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    with data.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(bytes(4096))
    with Daemon(app, data) as daemon:
        # then other instances are served,
        daemon.start("echo", "new", 1)
        daemon.wait_for("new", "COMPLETED")
        if table == "actors":
            # the id of an instance that cannot be read gets an error, and is not taken for free,
            assert "cannot be read" in httpx.get(f"{daemon.url}/v1.0/workflows/dapr/wait").text
        else:
            # and all instances go on, those with timers too.
            assert daemon.post("wait", "raiseEvent/go").status_code == 202
            daemon.wait_for("wait", "COMPLETED")
            daemon.wait_for("sleep", "COMPLETED")
        assert daemon.stop() == 0


def empty(path: Path) -> None:
    os.truncate(path, 0)


def put_another_in_place(path: Path) -> None:
    with closing(sqlite3.connect(f"{path}.other")) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.commit()
    write_over(path, Path(f"{path}.other").read_bytes())


def put_its_backup_in_place(path: Path) -> None:
    command = [sys.executable, "-m", "perdure", "store", "backup", f"{path}.backup", "--data", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    write_over(path, Path(f"{path}.backup").read_bytes())


def write_over(path: Path, content: bytes) -> None:
    """Write as `cp` does: into the same file."""
    with path.open("r+b") as file:
        file.truncate()
        file.write(content)


OVERWRITTEN: dict[str, Callable[[Path], None]] = {
    "emptied": empty,
    "another in its place": put_another_in_place,
    "its backup in its place": put_its_backup_in_place,
    "an empty -wal": lambda path: empty(Path(f"{path}-wal")),
    "zeros in its -wal": lambda path: write_over(Path(f"{path}-wal"), bytes(32)),
}


@pytest.mark.parametrize("how", OVERWRITTEN)
def test_a_store_that_is_overwritten_under_its_daemon_stops_all_promises(app: Path, tmp_path: Path, how: str) -> None:
    data = tmp_path / "p.db"
    with Daemon(app, data) as daemon:
        daemon.start("echo", "before", 1)
        daemon.wait_for("before", "COMPLETED")
        OVERWRITTEN[how](data)
        # No start is acknowledged, not even one whose id the daemon makes,
        for _ in range(3):
            assert httpx.post(f"{daemon.url}/v1.0/workflows/dapr/echo/start", content="1").status_code == 503
        # and health reports it.
        assert health(daemon) == 500
        daemon.kill()
    assert (tmp_path / "p.log").read_text().count("nothing more is written") == 1


def test_files_beside_the_store_that_are_emptied_stop_nothing(app: Path, tmp_path: Path) -> None:
    data = tmp_path / "p.db"
    with Daemon(app, data) as daemon:
        for suffix in (".id", ".lock"):
            empty(Path(f"{data}{suffix}"))
        for number in range(3):
            assert daemon.start("echo", f"after-{number}", 1).status_code == 202
        assert health(daemon) == 204
        assert daemon.stop() == 0
    with Daemon(app, data) as daemon:
        daemon.wait_for("after-2", "COMPLETED")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is mended")
def test_files_beside_the_store_that_are_emptied_one_by_one_cost_nothing(app: Path, tmp_path: Path) -> None:
    data = tmp_path / "p.db"
    ids: list[str] = []
    with Daemon(app, data) as daemon:
        # Given a daemon whose files beside the store are emptied, each twice, while it has no transaction under way,
        for beside in (".flight", "-shm", ".id") * 2:
            time.sleep(0.5)
            os.truncate(f"{data}{beside}", 0)
            ids.append(f"it-{len(ids)}")
            # then it goes on serving, without a pause,
            assert daemon.start("echo", ids[-1], RESULT).status_code == 202
            assert health(daemon) == 204
            daemon.wait_for(ids[-1], "COMPLETED")
        deadline = time.monotonic() + 10
        while not Path(f"{data}.id").read_bytes().startswith(b"Prdr"):
            assert time.monotonic() < deadline
            time.sleep(0.05)  # the daemon looks at the file once a second
        daemon.kill()
    # and after a kill nothing is lost.
    with Daemon(app, data) as daemon:
        for instance_id in ids:
            daemon.wait_for(instance_id, "COMPLETED")
