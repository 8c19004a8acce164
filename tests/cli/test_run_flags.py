"""Each flag and each variable reaches the configuration; a wrong value is named, with the values that are allowed."""

import dataclasses

import pytest

from perdure.cli.run_flags import RUN_OPTIONS
from perdure.daemon.config import Config
from perdure.runtime.authoring.limits import WorkflowLimits
from perdure.runtime.settings import Settings
from perdure.runtime.workers.limits import DispatchLimits

from ..support.cli.run_command import configure, refusal_of
from ..support.paths import ROOT


def test_without_a_word_it_serves_this_machine_only_and_keeps_everything_safe() -> None:
    config = configure()
    assert (config.host, config.http_port, config.grpc_port) == ("127.0.0.1", 3500, 50_001)
    assert (config.data, config.durability) == ("./perdure.db", "full")
    assert (config.api_tokens, config.max_body_bytes) == ((), None)
    assert config.limits == Settings()


def test_each_flag_reaches_the_configuration() -> None:
    config = configure(
        *("--http-port", "1", "--grpc-port", "2", "--host", "::1", "--data", "x.db", "--durability", "relaxed"),
        *("--app-id", "orders", "--api-token", "t", "--max-body-size", "1Ki", "--log-level", "DEBUG"),
        *("--log-format", "json", "--metrics-port", "3"),
    )
    assert config == Config(
        target=None,
        host="::1",
        http_port=1,
        grpc_port=2,
        metrics_port=3,
        data="x.db",
        durability="relaxed",
        app_id="orders",
        api_tokens=("t",),
        max_body_bytes=1024,
        log_level="debug",
        log_format="json",
        limits=Settings(),
    )


def test_each_limit_of_an_engine_has_a_flag() -> None:
    # Given a value for each limit that is not its default,
    given = Settings(
        activations_max=0,
        mailbox_messages_max=2,
        activities_max=3,
        activity_threads_max=4,
        activity_processes_max=5,
        stop_grace_s=1.5,
        peer_address="10.0.0.7:7070",
        wait_for_workers=True,
        dispatch=DispatchLimits(workflows_max=6, activities_max=7),
        always_replay=True,
        limits=WorkflowLimits(
            turn_commands_warn=8,
            turn_commands_max=9,
            payload_bytes_warn=1024,
            payload_bytes_max=3_000,
            name_bytes_max=100,
            history_events_warn=10,
            held_events_max=11,
        ),
    )
    limits = {field.name for field in dataclasses.fields(Settings)} - {
        "app_id",
        "retention",
        "state_stores",
        "namespace",
    }
    assert all(getattr(given, name) != getattr(Settings(), name) for name in limits), "a limit is missing above"
    # when each is set by its flag,
    config = configure(
        *("--activations-max", "0", "--mailbox-messages-max", "2", "--activities-max", "3"),
        *("--activity-threads-max", "4", "--activity-processes-max", "5", "--stop-grace", "1.5", "--always-replay"),
        *("--wait-for-workers", "--max-concurrent-workflows", "6", "--max-concurrent-activities", "7"),
        *("--turn-commands-warn", "8", "--turn-commands-max", "9", "--payload-bytes-warn", "1Ki"),
        *("--payload-bytes-max", "3k", "--name-bytes-max", "100", "--history-events-warn", "10"),
        *("--held-events-max", "11", "--data", "postgresql://h/orders", "--peer-address", "10.0.0.7:7070"),
    )
    # then the engine gets all of them.
    assert config.settings() == given


def test_what_the_pulse_tolerates_has_flags() -> None:
    config = configure("--workflow-step-max", "1", "--activity-step-max", "2.5", "--commit-max", "0")
    assert (config.workflow_step_max_s, config.activity_step_max_s, config.commit_max_s) == (1, 2.5, 0)


def test_every_flag_has_a_variable_of_its_name() -> None:
    for option in RUN_OPTIONS:
        assert option.variables[0] == "PERDURE_" + option.opts[0].removeprefix("--").replace("-", "_").upper()


def test_the_manual_names_every_flag() -> None:
    manual = (ROOT / "docs" / "configuration.md").read_text()
    assert [flag for option in RUN_OPTIONS if f"`{(flag := option.opts[0])}" not in manual] == []


def test_daprs_variables_are_read_and_ours_win_over_them_and_flags_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAPR_HTTP_PORT", "1")
    monkeypatch.setenv("DAPR_GRPC_PORT", "2")
    monkeypatch.setenv("DAPR_API_TOKEN", "old")
    config = configure()
    assert (config.http_port, config.grpc_port, config.api_tokens) == (1, 2, ("old",))

    monkeypatch.setenv("PERDURE_HTTP_PORT", "3")
    monkeypatch.setenv("PERDURE_API_TOKEN", "new")
    config = configure()
    assert (config.http_port, config.api_tokens) == (3, ("new",))

    config = configure("--http-port", "4", "--api-token", "newest")
    assert (config.http_port, config.api_tokens) == (4, ("newest",))


def test_a_switch_can_be_set_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_ALWAYS_REPLAY", "1")
    assert configure().limits.always_replay


@pytest.mark.parametrize(
    ("flag", "value", "allowed"),
    [
        ("--http-port", "abc", "0 to 65535"),
        ("--http-port", "65536", "0 to 65535"),
        ("--grpc-port", "-1", "0 to 65535"),
        ("--grpc-port", "٣", "0 to 65535"),
        ("--host", "two words", "127.0.0.1 or localhost"),
        ("--data", "mysql://db", "path of a file"),
        ("--data", "", "path of a file"),
        ("--durability", "none", "'full', 'relaxed'"),
        ("--app-id", "a b", "letters, digits, dashes and underscores"),
        ("--max-body-size", "4MB", "4Mi"),
        ("--max-body-size", "0", "above 0"),
        ("--stop-grace", "nan", "seconds"),
        ("--workflow-step-max", "-1", "seconds"),
        ("--activity-step-max", "long", "seconds"),
        ("--commit-max", "nan", "seconds"),
        ("--activations-max", "-1", "from 0 up"),
        ("--mailbox-messages-max", "0", "from 1 up"),
        ("--activities-max", "many", "from 1 up"),
        ("--activity-threads-max", "1.5", "from 1 up"),
        ("--metrics-port", "none", "0 to 65535"),
        ("--processes", "0", "1 to 64"),
        ("--processes", "65", "1 to 64"),
        ("--processes", "two", "1 to 64"),
        ("--max-concurrent-workflows", "0", "from 1 up"),
        ("--max-concurrent-activities", "-1", "from 1 up"),
        ("--log-level", "loud", "'debug', 'info', 'warning', 'error'"),
        ("--log-format", "xml", "'text', 'json'"),
    ],
)
def test_a_wrong_value_is_named_with_its_flag_and_what_is_allowed(flag: str, value: str, allowed: str) -> None:
    message = refusal_of(flag, value)
    assert flag in message
    assert repr(value) in message
    assert allowed in message


def test_a_wrong_value_from_the_environment_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAPR_HTTP_PORT", "abc")
    assert "DAPR_HTTP_PORT" in refusal_of()
    monkeypatch.setenv("PERDURE_HTTP_PORT", "def")
    message = refusal_of()
    assert "PERDURE_HTTP_PORT" in message
    assert "'def'" in message
    assert "DAPR_HTTP_PORT" not in message


@pytest.mark.parametrize("variable", ["PERDURE_API_TOKEN", "DAPR_API_TOKEN", "PERDURE_API_TOKEN_FILE"])
def test_a_variable_for_tokens_that_is_set_to_nothing_is_refused_by_its_name(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "")
    message = refusal_of()
    assert variable in message
    assert "empty" in message


def test_an_empty_variable_does_not_matter_where_a_token_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAPR_API_TOKEN", "")
    assert configure("--api-token", "t").api_tokens == ("t",)
    monkeypatch.setenv("PERDURE_API_TOKEN", "u")
    assert configure().api_tokens == ("u",)


def test_tokens_come_from_one_place() -> None:
    assert configure("--host", "0.0.0.0", "--api-token-file", "t.txt").api_token_file == "t.txt"  # noqa: S104, S105
    message = refusal_of("--api-token", "t", "--api-token-file", "tokens")
    assert "--api-token-file" in message
    assert "one place" in message


def test_several_tokens_are_separated_by_commas() -> None:
    assert configure("--api-token", "old, new").api_tokens == ("old", "new")


@pytest.mark.parametrize("tokens", ["", ",", "secret,", " "])
def test_an_empty_token_is_refused_rather_than_taken_for_none(tokens: str) -> None:
    message = refusal_of("--api-token", tokens)
    assert "empty" in message
    assert "secret" not in message


def test_instances_can_be_set_aside_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configure().set_aside == ()
    assert configure("--set-aside", "order-1", "--set-aside", "order-2").set_aside == ("order-1", "order-2")
    monkeypatch.setenv("PERDURE_SET_ASIDE", "order-3 order-4")
    assert configure().set_aside == ("order-3", "order-4")
