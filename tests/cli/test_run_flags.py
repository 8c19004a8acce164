"""One frozen configuration, from flags and environment; what is wrong is named, with what would be right."""

import dataclasses

import click
import pytest

from perdure.cli.run_flags import RUN_OPTIONS, build_config, is_loopback
from perdure.daemon.config import Config
from perdure.runtime.settings import Settings
from perdure.runtime.workers.limits import DispatchLimits


def configure(*flags: str, target: str | None = None) -> Config:
    command = click.Command(
        "run", params=list(RUN_OPTIONS), callback=lambda **values: build_config(target=target, **values)
    )
    config = command.main(list(flags), standalone_mode=False)
    assert isinstance(config, Config)
    return config


def refusal_of(*flags: str, target: str | None = None) -> str:
    with pytest.raises(click.UsageError) as refusal:
        configure(*flags, target=target)
    return refusal.value.format_message()


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
        wait_for_workers=True,
        dispatch=DispatchLimits(workflows_max=6, activities_max=7),
        always_replay=True,
    )
    limits = {field.name for field in dataclasses.fields(Settings)} - {"app_id", "retention"}
    assert all(getattr(given, name) != getattr(Settings(), name) for name in limits), "a limit is missing above"
    # when each is set by its flag,
    config = configure(
        *("--activations-max", "0", "--mailbox-messages-max", "2", "--activities-max", "3"),
        *("--activity-threads-max", "4", "--activity-processes-max", "5", "--stop-grace", "1.5", "--always-replay"),
        *("--wait-for-workers", "--max-concurrent-workflows", "6", "--max-concurrent-activities", "7"),
    )
    # then the engine gets them all.
    assert config.settings("orders") == dataclasses.replace(given, app_id="orders")


def test_the_app_id_is_the_flags_or_else_the_apps_or_else_perdure() -> None:
    assert configure("--app-id", "shop").settings("orders").app_id == "shop"
    assert configure().settings("orders").app_id == "orders"
    assert configure().settings(None).app_id == "perdure"


def test_every_flag_has_a_variable_of_its_name() -> None:
    for option in RUN_OPTIONS:
        assert option.variables[0] == "PERDURE_" + option.opts[0].removeprefix("--").replace("-", "_").upper()


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
        ("--data", "postgresql://db", "path of a file"),
        ("--data", "", "path of a file"),
        ("--durability", "none", "'full', 'relaxed'"),
        ("--app-id", "a b", "letters, digits, dashes and underscores"),
        ("--max-body-size", "4MB", "4Mi"),
        ("--max-body-size", "0", "above 0"),
        ("--stop-grace", "nan", "seconds"),
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


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("512Ki", 524_288), ("4Mi", 4_194_304), ("1Gi", 2**30), ("2k", 2000), ("3M", 3_000_000)],
)
def test_a_size_is_read_as_daprd_reads_it(text: str, size: int) -> None:
    assert configure("--max-body-size", text).max_body_bytes == size


def test_several_tokens_are_separated_by_commas() -> None:
    assert configure("--api-token", "old, new").api_tokens == ("old", "new")


@pytest.mark.parametrize("tokens", ["", ",", "secret,", " "])
def test_an_empty_token_is_refused_rather_than_taken_for_none(tokens: str) -> None:
    message = refusal_of("--api-token", tokens)
    assert "empty" in message
    assert "secret" not in message


def test_tokens_stay_out_of_what_the_configuration_shows() -> None:
    assert "secret" not in repr(configure("--api-token", "secret"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com"])  # noqa: S104
def test_an_address_that_others_can_reach_needs_a_token_or_a_clear_word(host: str) -> None:
    message = refusal_of("--host", host)
    assert host in message
    assert "PERDURE_API_TOKEN" in message
    assert "--allow-unauthenticated" in message
    assert configure("--host", host, "--api-token", "t").host == host
    assert configure("--host", host, "--allow-unauthenticated").host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_an_address_of_this_machine_only_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    assert configure("--host", host).host == host


def test_one_port_cannot_serve_both_apis() -> None:
    message = refusal_of("--http-port", "4001", "--grpc-port", "4001")
    assert "--http-port" in message
    assert "--grpc-port" in message
    assert "4001" in message
    assert configure("--http-port", "0", "--grpc-port", "0").http_port == 0


def test_a_daemon_is_one_process_unless_it_is_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configure().processes == 1
    assert configure("--processes", "64", target="shop.py").processes == 64
    monkeypatch.setenv("PERDURE_PROCESSES", "2")
    assert configure(target="shop.py").processes == 2


@pytest.mark.parametrize(
    ("flags", "target", "why"),
    [
        ((), None, "no APP"),
        (("--wait-for-workers",), "shop.py", "--wait-for-workers"),
        (("--data", ":memory:"), "shop.py", ":memory:"),
        (("--durability", "relaxed"), "shop.py", "--durability relaxed"),
        (("--metrics-port", "3498"), "shop.py", "ports 3498 to 3500, one each; --http-port 3500"),
        (("--metrics-port", "65534"), "shop.py", "ports 65534 to 65536, one each; the last port there is is 65535"),
    ],
)
def test_what_does_not_go_together_with_several_processes_is_named(
    flags: tuple[str, ...], target: str | None, why: str
) -> None:
    assert configure(*flags, target=target).processes == 1
    message = refusal_of("--processes", "3", *flags, target=target)
    assert "--processes 3" in message
    assert why in message


def test_a_system_whose_processes_cannot_share_a_port_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("socket.SO_REUSEPORT")
    assert configure(target="shop.py").processes == 1
    assert "on this system" in refusal_of("--processes", "2", target="shop.py")
