"""A configuration gives the engine its settings, and does not show its tokens."""

from ..support.cli.run_command import configure


def test_the_app_id_is_the_flags_or_else_the_apps_or_else_perdure() -> None:
    assert configure("--app-id", "shop").settings("orders").app_id == "shop"
    assert configure().settings("orders").app_id == "orders"
    assert configure().settings(None).app_id == "perdure"


def test_tokens_stay_out_of_what_the_configuration_shows() -> None:
    assert "secret" not in repr(configure("--api-token", "secret"))
