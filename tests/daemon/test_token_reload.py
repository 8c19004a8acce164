"""At SIGHUP a daemon reads the file of its tokens again, if it has one; an invalid file changes nothing."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from perdure.api.tokens import Tokens
from perdure.daemon.token_reload import reload_tokens

from ..support.processes.daemon import Daemon

APP = """
import perdure
app = perdure.App("tokens")
@app.workflow
async def w(ctx): return 1
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.txt"
    path.touch(mode=0o600)
    path.write_text("ops=old\n")
    return path


def test_a_file_that_cannot_be_used_leaves_the_tokens_as_they_are(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokens = Tokens(["old"])
    for content in ("", "ops=\n", "a b\n"):
        file.write_text(content)
        reload_tokens(tokens, str(file))
        assert tokens.know(b"old")
    file.unlink()
    reload_tokens(tokens, str(file))
    assert tokens.know(b"old")
    assert len(caplog.records) == 4
    assert all("stay as they are" in record.message for record in caplog.records)


def test_the_tokens_of_the_file_take_the_place_of_the_old_ones(file: Path) -> None:
    tokens = Tokens(["old"])
    file.write_text("new\nnewer\n")
    reload_tokens(tokens, str(file))
    assert [tokens.know(token) for token in (b"old", b"new", b"newer")] == [False, True, True]


def status(daemon: Daemon, token: str) -> int:
    url = f"{daemon.url}/v1.0/workflows/dapr/nobody"
    return httpx.get(url, headers={"dapr-api-token": token}).status_code


def until(daemon: Daemon, token: str, expected: int) -> None:
    """Send requests over many connections, which reach each host, until all answer with this status."""
    deadline = time.monotonic() + 20
    while not all(status(daemon, token) == expected for _ in range(12)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_daemon_reads_its_file_again_at_sighup_and_goes_on(tmp_path: Path, file: Path, processes: int) -> None:
    app = tmp_path / "app.py"
    app.write_text(APP)
    options = ("--api-token-file", str(file), "--processes", str(processes))
    with Daemon(app, tmp_path / "p.db", *options) as daemon:
        assert (status(daemon, "old"), status(daemon, "new")) == (404, 401)
        file.write_text("ops=new\n")
        daemon.process.send_signal(signal.SIGHUP)
        until(daemon, "new", 404)
        until(daemon, "old", 401)
        # A mistake in the file locks no client out.
        file.write_text("ops=\n")
        daemon.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while "stay as they are" not in (tmp_path / "p.log").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert status(daemon, "new") == 404
        assert daemon.stop() == 0


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_file_that_cannot_be_used_is_one_sentence_at_the_start(tmp_path: Path, processes: str) -> None:
    (tmp_path / "app.py").write_text(APP)
    command = ("-m", "perdure", "run", str(tmp_path / "app.py"), "--http-port", "0", "--grpc-port", "0")
    options = ("--data", str(tmp_path / "p.db"), "--api-token-file", "nowhere", "--processes", processes)
    ran = subprocess.run([sys.executable, *command, *options], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert (
        ran.stderr
        == "Error: nowhere cannot be used as a file of tokens: it cannot be read: No such file or directory.\n"
    )


def test_a_token_in_the_command_line_is_warned_of_and_one_in_a_variable_is_not(tmp_path: Path) -> None:
    for given, options, env in (("flag", ("--api-token", "s3cret"), {}), ("var", (), {"PERDURE_API_TOKEN": "s3cret"})):
        with Daemon(None, tmp_path / f"{given}.db", *options, env=env) as daemon:
            daemon.stop()
    warning = "every user of this machine can read the token"
    assert warning in (tmp_path / "flag.log").read_text()
    assert warning not in (tmp_path / "var.log").read_text()
    assert "s3cret" not in (tmp_path / "flag.log").read_text()
