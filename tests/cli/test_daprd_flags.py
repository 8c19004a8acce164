"""Every flag of daprd's is taken in every form; one with a meaning here reaches the configuration."""

import re

import pytest
from click.testing import CliRunner

from perdure.cli.daprd import daprd
from perdure.cli.daprd_flags import DAPRD_OPTIONS, OURS, SWITCHES, WITH_VALUE, parse_arguments

from ..support.cli.daprd_command import configure, parse, refusal_of
from ..support.paths import ROOT

MANUAL = ROOT / "docs" / "daprd.md"


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
    parsed = parse("--enable-mtls", "--app-id", "x", "--enable-metrics=false", "--log-as-json=true")
    assert parsed.config.metrics_port == 0
    assert parsed.config.log_format == "json"
    assert parsed.notes == ("flags of daprd without a meaning here, ignored: --enable-mtls",)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "--app-id is missing"),
        (["--app-id"], "--app-id needs a value"),
        (["--app-id", "a b"], "'a b' is not an app id"),
        (["--app-id", "x", "--bogus", "1"], "no flag --bogus"),
        (
            ["--app-id", "x", "--data", "a.db"],
            "no flag --data, and neither has perdure daprd. Set the variable PERDURE_DATA",
        ),
        (["--app-id", "x", "--processes", "2"], "no flag --processes, and neither has perdure daprd."),
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
