"""An app is loaded and passed to the daemon; a thread that it leaves behind does not keep the process alive."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perdure.actors.errors import PerdureError
from perdure.daemon import serve
from perdure.daemon.loader import AppNotFound
from perdure.daemon.process.process_fence import ProcessFence

from ..support.processes.host_config import host_config
from ..support.processes.lines import PATIENCE_S

A_THREAD_THAT_NEVER_ENDS = """
import sys
import threading
from perdure.daemon.serve import no_thread_is_waited_for
with no_thread_is_waited_for():
    threading.Thread(target=threading.Event().wait, daemon={daemon}).start()
    {ends}
print("still here")
"""


def test_the_app_that_the_configuration_names_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    monkeypatch.setattr("perdure.daemon.daemon.run", lambda *arguments: served.append(arguments))
    (tmp_path / "app_of_test_serve.py").write_text("import perdure\napp = perdure.App('shop')\n")
    config = host_config(str(tmp_path / "app_of_test_serve.py"))
    serve.serve_app(config, print)
    [(same, app, announce, member, fence, others)] = served
    assert (same, app.name, announce, member, list(others)) == (config, "shop", print, None, [])
    assert isinstance(fence, ProcessFence)


def test_nothing_is_served_if_there_is_no_such_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.daemon.daemon.run", lambda *_: pytest.fail("it is served"))
    with pytest.raises(AppNotFound):
        serve.serve_app(host_config(str(tmp_path / "nowhere.py")), print)


def test_a_child_that_the_import_has_forked_serves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process, served = os.getpid(), tmp_path / "served"

    def run(*_: object) -> None:
        with served.open("a") as file:
            file.write(f"{os.getpid()} ")
        if os.getpid() != process:
            os._exit(1)

    monkeypatch.setattr("perdure.daemon.daemon.run", run)
    app = tmp_path / "app_that_forks.py"
    app.write_text(
        "import os, warnings, perdure\n"
        "warnings.simplefilter('ignore')\n"
        "app = perdure.App('shop')\n"
        "if child := os.fork():\n"
        "    os.waitpid(child, 0)\n"
    )
    serve.serve_app(host_config(str(app)), print)
    assert served.read_text() == f"{process} "


def test_a_folder_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    os.chdir("gone")
    (tmp_path / "gone").rmdir()
    for serve_it in (serve.check_named, lambda config: serve.serve_app(config, print)):
        with pytest.raises(PerdureError, match="working folder of this process was deleted"):
            serve_it(host_config("shop.py"))


WRONG = [
    ["run", "nowhere.py"],
    ["run", "nowhere:app"],
    ["run", "wrong.py", "--processes", "2"],
    ["run", "app.py", "nowhere.py"],
    ["run", "--data", "nowhere/perdure.db"],
    ["run", "--data", "."],
    ["run", "--data", "app.py"],
    ["run", "--data", "postgresql://host:0/shop"],
    ["run", "--api-token-file", "nowhere.txt"],
    ["run", "--api-token-file", "app.py"],
    ["daprd", "--app-id", "shop", "--config", "nowhere.yaml"],
]
EACH = """
import sys
from perdure.cli.main import main
for arguments in {wrong}:
    try:
        main(arguments)
    except SystemExit as end:
        assert end.code == 1, (arguments, end.code)
    engine = {{"perdure.runtime.engine", "perdure.daemon.daemon", "starlette", "grpc"}} & set(sys.modules)
    assert not engine, (arguments, engine)
"""


def test_what_is_named_and_cannot_be_used_is_refused_before_the_engine_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise SystemExit('it runs')\n" * 20)
    (tmp_path / "wrong.py").write_text("no python")
    program = [sys.executable, "-c", EACH.format(wrong=WRONG)]
    result = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    assert "it runs" not in result.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["app.py", "wrong.py"]


@pytest.mark.parametrize("data", [":memory:", "perdure.db", "postgresql://host/shop"])
def test_what_can_be_used_passes_and_a_pipe_is_left_for_the_daemon(tmp_path: Path, data: str) -> None:
    (tmp_path / "shop.py").write_text("raise SystemExit('it runs')\n")
    tokens = tmp_path / "tokens"
    os.mkfifo(tokens)
    config = replace(host_config(str(tmp_path / "shop.py")), data=data, api_token_file=str(tokens))
    serve.check_named(config)


def test_the_engine_is_loaded_only_when_it_serves() -> None:
    program = "import sys; import perdure.daemon.serve; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert not {"grpc", "uvicorn", "starlette", "perdure.daemon.daemon"} & set(output.split())


def test_a_daemon_on_files_loads_nothing_that_only_a_database_needs() -> None:
    modules = "perdure.cli.run, perdure.daemon.daemon, perdure.daemon.telemetry.metrics_port"
    program = f"import sys; import {modules}; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    loaded = set(output.split())
    assert "perdure.actors.store.sqlite.store" in loaded
    assert not {"perdure.actors.store.postgres.store", "perdure.actors.store.postgres.driver", "asyncpg"} & loaded


@pytest.mark.parametrize(
    ("ends", "code", "told"),
    [
        ("pass", 0, ""),
        ("sys.exit(0)", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("sys.exit('the store broke')", 1, "the store broke"),
        ("raise LookupError('the store broke')", 1, "LookupError: the store broke"),
        ("raise KeyboardInterrupt", 1, "KeyboardInterrupt"),
    ],
)
def test_a_thread_that_python_would_wait_for_ends_the_process_at_once(ends: str, code: int, told: str) -> None:
    result = ended(A_THREAD_THAT_NEVER_ENDS.format(daemon=False, ends=ends))
    assert (result.returncode, result.stdout) == (code, "")
    assert told in result.stderr
    assert bool(told) == bool(result.stderr)


def test_a_thread_that_python_does_not_wait_for_changes_nothing() -> None:
    assert ended(A_THREAD_THAT_NEVER_ENDS.format(daemon=True, ends="pass")).stdout == "still here\n"


def ended(program: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=PATIENCE_S
    )


@pytest.mark.parametrize(("ends", "code"), [("pass", 0), ("raise LookupError('it broke')", 1)])
def test_a_function_that_the_app_has_registered_for_the_end_has_a_while_only(ends: str, code: int) -> None:
    program = f"""
import atexit, threading
from perdure.actors.errors import PerdureError
from perdure.daemon import serve
from perdure.daemon.process.process_fence import ProcessFence
serve.AT_EXIT_S = 0.2
with serve.no_thread_is_waited_for():
    atexit.register(threading.Event().wait)
    atexit.register(print, "flushed", flush=True)
    {ends}
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (code, "flushed\n")
