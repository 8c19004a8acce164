"""A configuration gives the engine its settings, and does not show its tokens."""

from dataclasses import fields

import msgspec

from ..support.cli.run_command import configure


def test_the_app_id_is_the_flags_or_else_the_apps_or_else_perdure() -> None:
    assert configure("--app-id", "shop").settings().app_id_for("orders") == "shop"
    assert configure().settings().app_id_for("orders") == "orders"
    assert configure().settings().app_id_for(None) == "perdure"


def test_tokens_stay_out_of_what_the_configuration_shows() -> None:
    assert "secret" not in repr(configure("--api-token", "secret"))


def test_the_management_api_shows_all_of_a_configuration_but_its_secrets() -> None:
    config = configure("--api-token", "secret-1,secret-2", "--retention", "failed=7d", "--data", "orders.db")
    shown = config.public("shop")
    assert (shown["app_id"], shown["data"], shown["api_tokens"]) == ("shop", "orders.db", 2)
    assert "secret" not in msgspec.json.encode(shown).decode()
    assert {each.name for each in fields(config)} - shown.keys() == {"flags"}
    assert "retention" not in shown["limits"]


def test_the_password_of_a_database_stays_out_too() -> None:
    config = configure("--data", "postgresql://me:secret@h/orders")
    assert "secret" not in repr(config)
    assert config.public("a")["data"] == config.shown_data == "postgresql://me@h/orders"
    assert config.anchored("/elsewhere").data == "postgresql://me:secret@h/orders"
