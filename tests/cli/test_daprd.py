"""`perdure daprd` takes what daprd takes, says what it ignores, and is found where daprd is looked for."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner

from perdure.cli.daprd import (
    DAPRD_FLAGS,
    DAPRD_OPTIONS,
    OURS,
    SWITCHES,
    WITH_VALUE,
    Told,
    build_daprd_config,
    daprd,
    furnish,
    install_into,
    parse_arguments,
    script,
    take_name,
)
from perdure.daemon.config import Config
from perdure.http.serving.listener import address, listen
from perdure.runtime.operations.retention_policy import Retention
from perdure.runtime.settings import Settings
from perdure.runtime.workers.limits import DispatchLimits

from ..support.paths import ROOT

MANUAL = ROOT / "docs" / "daprd.md"
COMM = Path("/proc/self/comm")
READY_S = 30.0


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("PERDURE_", "DAPR_")):
            monkeypatch.delenv(name)


def tell(*arguments: str) -> Told:
    """Parse a command line to what the daemon would get."""
    with daprd.make_context("daprd", list(arguments)) as context:
        values = dict(context.params)
        for other in ("install", "version", "build_info"):
            values.pop(other)
        (ignored,) = context.meta.values()
        return build_daprd_config(ignored=ignored, **values)


def configure(*arguments: str) -> Config:
    return tell(*arguments).config


def refusal_of(*arguments: str) -> str:
    with pytest.raises(click.UsageError) as refusal:
        tell(*arguments)
    return refusal.value.format_message()


def test_with_an_app_id_only_it_listens_where_daprd_does_but_for_this_machine() -> None:
    assert configure("--app-id", "orders") == Config(
        target=None,
        host="127.0.0.1",
        http_port=3500,
        grpc_port=50_001,
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


def test_each_flag_that_counts_reaches_the_configuration() -> None:
    config = configure(
        *("--app-id", "orders", "--dapr-http-port", "1", "--dapr-grpc-port", "2", "--metrics-port", "3"),
        *("--dapr-listen-addresses", "[::1],127.0.0.1", "--max-body-size", "16Mi", "--log-level", "warn"),
        *("--log-as-json", "--dapr-graceful-shutdown-seconds", "7"),
    )
    assert (config.http_port, config.grpc_port, config.metrics_port, config.host) == (1, 2, 3, "::1")
    assert (config.max_body_bytes, config.log_level, config.log_format) == (16 * 2**20, "warning", "json")
    assert config.limits.stop_grace_s == 7.0


@pytest.mark.parametrize("arguments", [["--app-id", "x"], ["--app-id=x"], ["-app-id", "x"], ["-app-id=x"]])
def test_a_flag_is_taken_in_every_form_that_daprd_takes(arguments: list[str]) -> None:
    assert configure(*arguments).app_id == "x"


def test_a_switch_takes_no_value_of_its_own() -> None:
    told = tell("--enable-mtls", "--app-id", "x", "--enable-metrics=false", "--log-as-json=true")
    assert told.config.metrics_port == 0
    assert told.config.log_format == "json"
    assert told.notes == ("flags of daprd without a meaning here, ignored: --enable-mtls",)


def test_what_dapr_run_starts_it_with_is_taken(tmp_path: Path) -> None:
    # dapr/cli `pkg/standalone/run.go`, getArgs, with the defaults of `dapr run --app-id orders --app-port 6001`.
    told = tell(
        *("--app-id", "orders", "--app-port", "6001", "--dapr-http-port", "35001", "--dapr-grpc-port", "35002"),
        *("--profile-port", "35003", "--metrics-port", "35004", "--dapr-internal-grpc-port", "35005"),
        *("--app-protocol", "http", "--log-level", "info", "--app-max-concurrency", "-1"),
        *("--placement-host-address", "localhost:50005", "--scheduler-host-address", "localhost:50006"),
        *("--resources-path", str(tmp_path), "--max-body-size", "4Mi", "--read-buffer-size", "4Ki"),
        *("--app-health-check-path", "/healthz"),
    )
    assert (told.config.http_port, told.config.grpc_port, told.config.metrics_port) == (35_001, 35_002, 35_004)
    assert len(told.notes) == 1


def test_a_flag_that_dapr_run_has_blanked_out_leaves_a_word_that_is_passed_over() -> None:
    # Seen with dapr/cli bc695e9: it takes our version for a Dapr before 1.14 and blanks --scheduler-host-address only.
    told = tell("--max-body-size", "4Mi", "", "localhost:50006", "--app-id", "orders", "--profile-port", "-1")
    assert told.config.app_id == "orders"
    assert told.notes == ("flags of daprd without a meaning here, ignored: '', 'localhost:50006', --profile-port",)


def test_all_that_is_ignored_is_named_in_one_line_and_each_flag_once() -> None:
    told = tell("--app-id", "x", "--app-port", "1", "--mode=standalone", "--app-port=2", "--enable-profiling", "word")
    assert told.notes == (
        "flags of daprd without a meaning here, ignored: --app-port, --mode, --enable-profiling, 'word'",
    )


def test_a_second_address_is_not_listened_on_and_said_so() -> None:
    assert tell("--app-id", "x", "--dapr-listen-addresses", "127.0.0.1,::1").notes == (
        "listening on 127.0.0.1 only, not on ::1",
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "--app-id is missing"),
        (["--app-id"], "--app-id needs a value"),
        (["--app-id", "a b"], "'a b' is not an app id"),
        (["--app-id", "x", "--bogus", "1"], "no flag --bogus"),
        (["--app-id", "x", "--data", "a.db"], "no flag --data"),
        (["--app-id", "x", "--dapr-http-port", "many"], "--dapr-http-port"),
        (["--app-id", "x", "--max-body-size", "4MB"], "4Mi"),
        (["--app-id", "x", "--enable-metrics=yes"], "'yes' is neither true nor false"),
        (["--app-id", "x", "--log-level", "loud"], "'loud' is not one of debug"),
        (["--app-id", "x", "--dapr-graceful-shutdown-seconds", "5s"], "'5s'"),
        (["--app-id", "x", "--dapr-http-port", "4001", "--dapr-grpc-port", "4001"], "--dapr-grpc-port are both 4001"),
        (["--app-id", "x", "--dapr-http-port", "4001", "--metrics-port", "4001"], "--metrics-port are both 4001"),
        (["--app-id", "x", "--mode", "kubernetes"], "--mode standalone only"),
        (["--app-id", "x", "--unix-domain-socket", "sockets"], "not on sockets"),
        (["--wait"], "not supported"),
    ],
)
def test_what_cannot_be_done_is_refused_by_daprds_names(arguments: list[str], problem: str) -> None:
    assert problem in refusal_of(*arguments)


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


def test_what_daprd_has_no_flag_for_is_set_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_DATA", "shop.db")
    monkeypatch.setenv("PERDURE_DURABILITY", "relaxed")
    monkeypatch.setenv("PERDURE_ACTIVATIONS_MAX", "5")
    # A flag of daprd's has no variable, in daprd as here.
    monkeypatch.setenv("PERDURE_HTTP_PORT", "1")
    monkeypatch.setenv("DAPR_HTTP_PORT", "2")
    config = configure("--app-id", "x")
    assert (config.data, config.durability, config.limits.activations_max) == ("shop.db", "relaxed", 5)
    assert config.http_port == 3500


def test_a_sidecar_is_one_process_whatever_a_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_PROCESSES", "2")
    assert configure("--app-id", "x").processes == 1


def test_the_files_of_the_command_line_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a limit of ours, a file with another one and a policy, and a component,
    monkeypatch.setenv("PERDURE_MAX_CONCURRENT_WORKFLOWS", "9")
    monkeypatch.setenv("PERDURE_MAX_CONCURRENT_ACTIVITIES", "8")
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("spec: {tracing: {}, workflow: {maxConcurrentWorkflowInvocations: 2}}")
    two.write_text("spec: {workflow: {stateRetentionPolicy: {anyTerminal: 1h}}}")
    (tmp_path / "resources").mkdir()
    (tmp_path / "resources" / "store.yaml").write_text("kind: Component\nmetadata: {name: store}")
    # when they are named, with a comma or by repetition,
    told = tell("--app-id", "x", "--config", f"{one},{two}", "--components-path", str(tmp_path / "resources"))
    again = tell("--app-id=x", f"--config={one}", f"--config={two}", "--resources-path", str(tmp_path / "resources"))
    # then both count, and what has no meaning is named.
    assert told == again
    assert told.config.limits.dispatch == DispatchLimits(workflows_max=2, activities_max=8)
    assert told.config.retention == Retention(any_terminal_us=3_600_000_000)
    assert told.notes == (
        f"configuration without a meaning here, ignored: {one}: spec.tracing",
        "resources without a meaning here, ignored: Component store",
    )


@pytest.mark.parametrize(("text", "size"), [("-1", None), ("1Gi", 2**30), ("4194304", 4_194_304)])
def test_a_body_size_is_read_as_daprd_reads_it(text: str, size: int | None) -> None:
    assert configure("--app-id", "x", "--max-body-size", text).max_body_bytes == size
    assert "--max-body-size" in refusal_of("--app-id", "x", "--max-body-size", "0.5Mi")


def test_every_flag_is_daprds_or_ours_and_none_is_two_kinds() -> None:
    ours = {option.opts[0].removeprefix("--") for option in DAPRD_OPTIONS}
    assert ours <= SWITCHES | WITH_VALUE | OURS
    assert not SWITCHES & WITH_VALUE


def test_nothing_behind_two_dashes_is_a_flag() -> None:
    assert list(parse_arguments(["--app-id", "x", "--", "--bogus"])) == [("app-id", "x"), ("", "--bogus")]


def test_the_manual_names_every_flag_that_counts() -> None:
    manual = MANUAL.read_text()
    missing = [option.opts[0] for option in DAPRD_OPTIONS if f"`{option.opts[0]}" not in manual]
    assert not missing


def test_help_shows_the_flags_that_count_and_no_others() -> None:
    output = CliRunner().invoke(daprd, ["-help"]).output
    shown = set(re.findall(r"^  (--[a-z-]+)", output, re.MULTILINE)) | {"--help"}
    assert shown == {option.opts[0] for option in DAPRD_OPTIONS} | {"--help"}


def test_its_version_is_one_line_because_daprs_command_line_reads_it() -> None:
    (line,) = CliRunner().invoke(daprd, ["--version"]).output.splitlines()
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+.*|unknown", line)
    assert "in the place of daprd" in CliRunner().invoke(daprd, ["--build-info"]).output


# Where Dapr's command line looks for it.


def test_an_executable_named_daprd_is_written(tmp_path: Path) -> None:
    result = CliRunner().invoke(daprd, ["--install", str(tmp_path / "bin")])
    assert result.exit_code == 0
    assert result.output == f"Wrote {tmp_path / 'bin' / 'daprd'}.\n"
    assert os.access(tmp_path / "bin" / "daprd", os.X_OK)
    assert [path.name for path in (tmp_path / "bin").iterdir()] == ["daprd"]


def test_in_daprs_own_folder_it_finds_what_dapr_run_takes_for_granted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a folder where `dapr init` has never been, named from within,
    home = tmp_path / ".dapr"
    home.mkdir()
    monkeypatch.chdir(home)
    # when it is installed there,
    result = CliRunner().invoke(daprd, ["--install", "bin"])
    # then the folder that `dapr run` checks and the file that it passes on are there, and the sidecar takes both.
    assert result.output.splitlines() == [
        "Wrote bin/daprd.", f"Wrote {home / 'components'}.", f"Wrote {home / 'config.yaml'}.",
    ]  # fmt: skip
    told = tell("--app-id=x", f"--config={home / 'config.yaml'}", f"--components-path={home / 'components'}")
    assert told.notes == ()


def test_what_dapr_init_has_made_stays_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / ".dapr"
    (home / "components").mkdir(parents=True)
    (home / "config.yaml").write_text("kind: Configuration")
    assert list(furnish(home / "bin")) == []
    assert (home / "config.yaml").read_text() == "kind: Configuration"


@pytest.mark.parametrize("folder", ["bin", ".dapr/tools"])
def test_beside_another_folder_nothing_is_made(tmp_path: Path, folder: str) -> None:
    install_into(tmp_path / folder)
    assert list(furnish(tmp_path / folder)) == []
    assert [path.name for path in (tmp_path / folder).parent.iterdir()] == [Path(folder).name]


def test_daprs_folder_that_cannot_be_furnished_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".dapr").write_text("")
    with pytest.raises(click.ClickException, match=r"components cannot be written"):
        list(furnish(tmp_path / ".dapr" / "bin"))


def test_our_own_executable_is_replaced_and_daprs_is_not(tmp_path: Path) -> None:
    install_into(tmp_path)
    install_into(tmp_path)
    (tmp_path / "daprd").write_bytes(b"\x7fELF and so on")
    with pytest.raises(click.ClickException, match="another daprd"):
        install_into(tmp_path)
    assert (tmp_path / "daprd").read_bytes() == b"\x7fELF and so on"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(click.ClickException, match="cannot be written"):
        install_into(tmp_path / "file")


def test_the_interpreter_is_named_in_the_first_line_unless_the_kernel_would_cut_it() -> None:
    assert script("/usr/bin/python3").startswith("#!/usr/bin/python3\n# Perdure")
    for path in ("/opt/my python/bin/python3", f"/{'long/' * 40}python3"):
        text = script(path)
        assert text.startswith("#!/bin/sh\n")
        compile(text, "daprd", "exec")  # to Python, the shell's line is a string


def test_a_shell_starts_an_interpreter_whose_path_has_a_space(tmp_path: Path) -> None:
    (tmp_path / "my python").symlink_to(sys.executable)
    path = tmp_path / "daprd"
    path.write_text(script(str(tmp_path / "my python")))
    path.chmod(0o755)
    result = subprocess.run([path, "--version"], capture_output=True, text=True, env=environment(), check=False)
    # A bare link to an interpreter may have no packages of its own; it has those of this test.
    assert result.returncode == 0, result.stderr


def test_a_process_takes_its_name_where_the_system_lets_it(tmp_path: Path) -> None:
    (tmp_path / "comm").write_text("python3\n")
    take_name(tmp_path / "comm")
    assert (tmp_path / "comm").read_text() == "daprd"
    take_name(tmp_path / "nowhere" / "comm")  # another system


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **more}


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
        # it answers, takes what `dapr run` tells it, and has a store of its own.
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
    # Given a sidecar that keeps nothing that is finished,
    (tmp_path / "config.yaml").write_text("spec: {workflow: {stateRetentionPolicy: {anyTerminal: 0s}}}")
    command = [sys.executable, "-m", "perdure", "daprd", "--enable-metrics=false", "--config", "config.yaml"]
    with sidecar(tmp_path, command, "--app-id", "orders") as (_, url):
        # when an instance ends,
        workflows = f"{url}/v1.0/workflows/dapr"
        httpx.post(f"{workflows}/echo/start", params={"instanceID": "a"}).raise_for_status()
        httpx.post(f"{workflows}/a/terminate").raise_for_status()
        # then it goes.
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
def test_what_is_wrong_is_said_without_a_traceback(tmp_path: Path, arguments: list[str], code: int) -> None:
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
def test_a_port_that_somebody_has_ends_it_with_the_flag_that_chooses_another(tmp_path: Path, flag: str) -> None:
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
