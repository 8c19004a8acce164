"""The apps of a daemon on a command line: their code, ids and ports."""

import pytest

from perdure.daemon.config import AppConfig

from ..support.cli.run_command import configure, refusal_of


def test_the_first_app_is_the_daemon_s_and_each_has_a_port() -> None:
    config = configure("--app-id", "shop", "--app-id", "bank", "--grpc-port", "4001")
    assert (config.app_id, config.grpc_port) == ("shop", 4001)
    assert config.others == (AppConfig(app_id="bank", target=None, grpc_port=4002),)


def test_a_daemon_of_one_app_has_no_others() -> None:
    assert configure("--app-id", "shop").others == ()
    assert configure(target="shop.py").others == ()


def test_ids_belong_to_the_code_in_its_order() -> None:
    config = configure("--app-id", "shop", targets=("shop.py", "bank.py"))
    assert (config.target, config.app_id) == ("shop.py", "shop")
    assert [(other.target, other.app_id) for other in config.others] == [("bank.py", None)]
    config = configure("--app-id", "shop", "--app-id", "mail", target="shop.py")
    assert [(other.target, other.app_id) for other in config.others] == [(None, "mail")]


def test_ports_are_said_for_each_app_or_follow_the_first() -> None:
    two = ("--app-id", "shop", "--app-id", "bank")
    assert configure(*two, "--grpc-port", "4001", "--grpc-port", "4010").others[0].grpc_port == 4010
    assert configure(*two, "--grpc-port", "0").others[0].grpc_port == 0
    assert "--grpc-port" in refusal_of(*two, "--grpc-port", "65535")
    assert "3 times for 2 apps" in refusal_of(*two, *(word for port in "123" for word in ("--grpc-port", port)))


def test_an_app_is_named_once() -> None:
    assert "is given twice" in refusal_of("--app-id", "shop", "--app-id", "shop")


def test_ports_of_two_apps_cannot_be_one() -> None:
    two = ("--app-id", "shop", "--app-id", "bank")
    assert "--grpc-port" in refusal_of(*two, "--grpc-port", "4001", "--grpc-port", "4001")
    assert "--http-port" in refusal_of(*two, "--grpc-port", "4001", "--http-port", "4002")


def test_apps_are_named_by_a_variable_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_APP_ID", "shop bank")
    config = configure()
    assert (config.app_id, [other.app_id for other in config.others]) == ("shop", ["bank"])
