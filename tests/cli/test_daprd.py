"""`perdure daprd` takes daprd's flags, names those that it ignores, and is found in daprd's place."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from perdure.cli.daprd import daprd, take_name
from perdure.cli.daprd_flags import DAPRD_FLAGS
from perdure.cli.daprd_install import install_into
from perdure.daemon.config import Config
from perdure.http.serving.listener import address, listen
from perdure.runtime.operations.retention.policy import Retention
from perdure.runtime.settings import Settings
from perdure.runtime.workers.limits import DispatchLimits

from ..support.cli.daprd_command import configure, environment, parse, refusal_of

COMM = Path("/proc/self/comm")
READY_S = 30.0


def test_with_an_app_id_only_it_listens_where_daprd_does_but_for_this_machine() -> None:
    assert configure("--app-id", "orders") == Config(
        target=None,
        host="127.0.0.1",
        http_port=3500,
        grpc_port=50_001,
        metrics_open=True,
        metrics_port=9090,
        data="./perdure-orders.db",
        durability="full",
        app_id="orders",
        api_tokens=(),
        max_body_bytes=None,
        log_level="info",
        log_format="text",
        limits=Settings(stop_grace_s=5.0),
        retention=Retention(),
        flags=DAPRD_FLAGS,
    )


def test_what_dapr_run_starts_it_with_is_taken(tmp_path: Path) -> None:
    # dapr/cli `pkg/standalone/run.go`, getArgs, with the defaults of `dapr run --app-id orders --app-port 6001`.
    parsed = parse(
        *("--app-id", "orders", "--app-port", "6001", "--dapr-http-port", "35001", "--dapr-grpc-port", "35002"),
        *("--profile-port", "35003", "--metrics-port", "35004", "--dapr-internal-grpc-port", "35005"),
        *("--app-protocol", "http", "--log-level", "info", "--app-max-concurrency", "-1"),
        *("--placement-host-address", "localhost:50005", "--scheduler-host-address", "localhost:50006"),
        *("--resources-path", str(tmp_path), "--max-body-size", "4Mi", "--read-buffer-size", "4Ki"),
        *("--app-health-check-path", "/healthz"),
    )
    assert (parsed.config.http_port, parsed.config.grpc_port, parsed.config.metrics_port) == (35_001, 35_002, 35_004)
    assert len(parsed.notes) == 1


def test_a_flag_that_dapr_run_has_blanked_out_leaves_a_word_that_is_passed_over() -> None:
    # Seen with dapr/cli bc695e9: it takes our version for a Dapr before 1.14 and blanks --scheduler-host-address only.
    parsed = parse("--max-body-size", "4Mi", "", "localhost:50006", "--app-id", "orders", "--profile-port", "-1")
    assert parsed.config.app_id == "orders"
    assert parsed.notes == ("flags of daprd without a meaning here, ignored: '', 'localhost:50006', --profile-port",)


def test_all_that_is_ignored_is_named_in_one_line_and_each_flag_once() -> None:
    words = ("--app-port", "1", "--mode=standalone", "--app-port=2", "--enable-profiling", "word")
    parsed = parse("--app-id", "x", *words)
    assert parsed.notes == (
        "flags of daprd without a meaning here, ignored: --app-port, --mode, --enable-profiling, 'word'",
    )


def test_a_second_address_is_not_listened_on_and_said_so() -> None:
    assert parse("--app-id", "x", "--dapr-listen-addresses", "127.0.0.1,::1").notes == (
        "listening on 127.0.0.1 only, not on ::1",
    )


def test_an_address_that_others_can_reach_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("--app-id", "x", "--dapr-listen-addresses", "0.0.0.0")  # noqa: S104
    message = refusal_of(*arguments)
    assert "--dapr-listen-addresses 0.0.0.0" in message
    assert "DAPR_API_TOKEN" in message
    monkeypatch.setenv("DAPR_API_TOKEN", "secret")
    assert configure(*arguments).api_tokens == ("secret",)
    monkeypatch.delenv("DAPR_API_TOKEN")
    monkeypatch.setenv("PERDURE_ALLOW_UNAUTHENTICATED", "true")
    assert configure(*arguments).host == "0.0.0.0"  # noqa: S104


def test_the_files_of_the_command_line_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a limit of ours, a file with another one and a policy, and a component,
    monkeypatch.setenv("PERDURE_MAX_CONCURRENT_WORKFLOWS", "9")
    monkeypatch.setenv("PERDURE_MAX_CONCURRENT_ACTIVITIES", "8")
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("spec: {nameResolution: {}, workflow: {maxConcurrentWorkflowInvocations: 2}}")
    two.write_text("spec: {workflow: {stateRetentionPolicy: {anyTerminal: 1h}}}")
    (tmp_path / "resources").mkdir()
    (tmp_path / "resources" / "store.yaml").write_text("kind: Component\nmetadata: {name: store}")
    # when they are named, with a comma or by repetition,
    parsed = parse("--app-id", "x", "--config", f"{one},{two}", "--components-path", str(tmp_path / "resources"))
    again = parse("--app-id=x", f"--config={one}", f"--config={two}", "--resources-path", str(tmp_path / "resources"))
    # then both count, and settings without a meaning here are named.
    assert parsed == again
    assert parsed.config.limits.dispatch == DispatchLimits(workflows_max=2, activities_max=8)
    assert parsed.config.retention == Retention(any_terminal_us=3_600_000_000)
    assert parsed.notes == (
        f"configuration without a meaning here, ignored: {one}: spec.nameResolution",
        "resources without a meaning here, ignored: Component store",
    )


def test_its_metrics_are_open_as_daprs_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAPR_API_TOKEN", "secret")
    monkeypatch.setenv("PERDURE_METRICS_OPEN", "false")
    assert configure("--app-id=x").metrics_open


def test_its_version_is_one_line_because_daprs_command_line_reads_it() -> None:
    (line,) = CliRunner().invoke(daprd, ["--version"]).output.splitlines()
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+.*|unknown", line)
    assert "in the place of daprd" in CliRunner().invoke(daprd, ["--build-info"]).output


# The place in which Dapr's command line looks for it.


def test_a_process_takes_its_name_where_the_system_lets_it(tmp_path: Path) -> None:
    (tmp_path / "comm").write_text("python3\n")
    take_name(tmp_path / "comm")
    assert (tmp_path / "comm").read_text() == "daprd"
    take_name(tmp_path / "nowhere" / "comm")  # another system


@contextmanager
def sidecar(folder: Path, command: list[str], *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a command that is a daprd until it is ready; give it and its address."""
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [*command, "--dapr-http-port", "0", "--dapr-grpc-port=0", *arguments],
        cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True, env=environment(),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("Perdure ready: http="), (line, (folder / "log").read_text()[-2000:])
        yield process, line.split()[2].removeprefix("http=")
        process.terminate()
        assert process.wait(READY_S) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        log.close()


def free_port() -> int:
    with closing(listen("127.0.0.1", 0)) as listener:
        return address(listener)[1]


@pytest.mark.parametrize("how", ["the executable", "the command"])
def test_it_runs_under_the_name_that_daprs_command_line_looks_for(tmp_path: Path, how: str) -> None:
    command = [str(install_into(tmp_path))] if how == "the executable" else [sys.executable, "-m", "perdure", "daprd"]
    with sidecar(tmp_path, command, "--app-id", "orders", "--enable-metrics=false", "--app-port", "1") as (
        process,
        url,
    ):
        # Found as dapr/cli finds it (`pkg/standalone/list.go`): by the name, and by flags behind it,
        if COMM.exists():
            assert Path(f"/proc/{process.pid}/comm").read_text() == "daprd\n"
            words = Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")
            assert words[words.index("--app-id") + 1] == "orders"
        # it answers, takes the settings of `dapr run`, and has its own store.
        assert httpx.get(f"{url}/v1.0/healthz").status_code == 204
        assert httpx.put(f"{url}/v1.0/metadata/cliPID", content="7").status_code == 204
        metadata = httpx.get(f"{url}/v1.0/metadata").json()
        assert (metadata["id"], metadata["extended"]["cliPID"]) == ("orders", "7")
        assert (tmp_path / "perdure-orders.db").exists()
    log = (tmp_path / "log").read_text()
    assert len(re.findall("ignored", log)) == 1
    assert "ignored: --app-port" in log


def test_two_apps_run_side_by_side(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "perdure", "daprd", "--enable-metrics=false"]
    with (
        sidecar(tmp_path, command, "--app-id", "one") as (_, first),
        sidecar(tmp_path, command, "--app-id", "two") as (_, second),
    ):
        assert httpx.get(f"{first}/v1.0/metadata").json()["id"] == "one"
        assert httpx.get(f"{second}/v1.0/metadata").json()["id"] == "two"


def test_its_metrics_are_served_on_a_port_of_their_own(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "perdure", "daprd", "--app-id", "orders", "--metrics-port", str(port)]
    with sidecar(tmp_path, command) as (_, url):
        httpx.post(f"{url}/v1.0/workflows/dapr/echo/start", params={"instanceID": "a"})
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert (
        'operation_count{app_id="orders",namespace="default",operation="create_workflow",status="success"} 1.0' in text
    )
    assert "dapr_runtime_workflow_activity_execution_count" in text


def test_the_policy_of_a_file_is_kept(tmp_path: Path) -> None:
    # Given a sidecar that keeps no finished instances,
    (tmp_path / "config.yaml").write_text("spec: {workflow: {stateRetentionPolicy: {anyTerminal: 0s}}}")
    command = [sys.executable, "-m", "perdure", "daprd", "--enable-metrics=false", "--config", "config.yaml"]
    with sidecar(tmp_path, command, "--app-id", "orders") as (_, url):
        # when an instance ends,
        workflows = f"{url}/v1.0/workflows/dapr"
        httpx.post(f"{workflows}/echo/start", params={"instanceID": "a"}).raise_for_status()
        httpx.post(f"{workflows}/a/terminate").raise_for_status()
        # then it is forgotten.
        deadline_s = time.monotonic() + READY_S
        while httpx.get(f"{workflows}/a").status_code != 404:
            assert time.monotonic() < deadline_s


def test_its_log_is_json_if_dapr_wants_it_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "perdure", "daprd", "--enable-metrics=false", "--log-as-json"]
    with sidecar(tmp_path, command, "--app-id", "orders"):
        pass
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {line["level"] for line in lines} == {"INFO"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--bogus"], 2),
        (["--app-id", "x", "--config", "nowhere.yaml"], 1),
        (["--app-id", "x", "--resources-path", "nowhere"], 1),
    ],
)
def test_an_error_is_reported_without_a_traceback(tmp_path: Path, arguments: list[str], code: int) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "perdure", "daprd", *arguments],
        cwd=tmp_path, capture_output=True, text=True, env=environment(), check=False,
    )  # fmt: skip
    assert result.returncode == code
    assert result.stdout == ""
    assert arguments[-1] in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flag", ["--dapr-http-port", "--dapr-grpc-port"])
def test_a_port_that_is_in_use_ends_it_with_the_flag_that_chooses_another(tmp_path: Path, flag: str) -> None:
    free = {"--dapr-http-port": "0", "--dapr-grpc-port": "0", "--metrics-port": "0"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ports = [word for pair in (free | {flag: port}).items() for word in pair]
        result = subprocess.run(
            [sys.executable, "-m", "perdure", "daprd", "--app-id", "x", *ports],
            cwd=tmp_path, capture_output=True, text=True, env=environment(), check=False,
        )  # fmt: skip
    assert result.returncode == 1
    assert port in result.stderr
    assert f"choose another port with {flag} (0 takes any free one)" in result.stderr


def test_an_address_that_is_not_here_is_named_with_daprds_flag(tmp_path: Path) -> None:
    arguments = ("--app-id", "x", "--dapr-listen-addresses", "192.0.2.1", "--metrics-port", "0")
    result = subprocess.run(
        [sys.executable, "-m", "perdure", "daprd", *arguments],
        cwd=tmp_path, capture_output=True, text=True, env=environment() | {"DAPR_API_TOKEN": "t"}, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "Choose an address of this machine with --dapr-listen-addresses." in result.stderr


def test_state_stores_have_the_names_of_components_and_without_one_there_is_the_usual_one(tmp_path: Path) -> None:
    assert parse("--app-id", "x").config.limits.state_stores.names == ["statestore"]
    text = "kind: Component\nmetadata: {name: cart}\nspec: {type: state.redis}"
    (tmp_path / "store.yaml").write_text(text)
    parsed = parse("--app-id", "x", "--resources-path", str(tmp_path))
    assert parsed.config.limits.state_stores.names == ["cart"]
    assert parsed.notes[-1] == (
        "state stores, all kept in Perdure's own store; their types and addresses have no meaning here: "
        "cart (state.redis)"
    )
