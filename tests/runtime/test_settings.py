"""The limits of an engine: one frozen value, with defaults that work; impossible values are refused."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from perdure import Settings


def settings(**given: Any) -> Settings:
    return Settings(**given)


def test_the_defaults_are_valid_and_bounded() -> None:
    settings = Settings()
    assert settings.activations_max == 10_000
    assert settings.mailbox_messages_max == 10_000
    assert not settings.always_replay


def test_the_app_id_is_the_name_of_the_app_unless_it_is_said() -> None:
    assert Settings().app_id_for("shop") == "shop"
    assert Settings(app_id="orders").app_id_for("shop") == "orders"
    assert Settings().app_id_for(None) == "perdure"
    with pytest.raises(ValueError, match="app_id"):
        Settings(app_id="")


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().app_id = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    "name", ["mailbox_messages_max", "activities_max", "activity_threads_max", "activity_processes_max"]
)
def test_a_limit_of_nothing_is_refused_by_name(name: str) -> None:
    assert getattr(settings(**{name: 1}), name) == 1
    for wrong in (0, -1):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, not {wrong}"):
            settings(**{name: wrong})


def test_an_engine_may_keep_nothing_in_memory_but_not_less() -> None:
    assert Settings(activations_max=0).activations_max == 0
    with pytest.raises(ValueError, match="activations_max must be at least 0, not -1"):
        Settings(activations_max=-1)


def test_a_stop_may_be_without_grace_but_not_before_now() -> None:
    assert Settings(stop_grace_s=0).stop_grace_s == 0
    with pytest.raises(ValueError, match=r"stop_grace_s must be at least 0 seconds, not -0\.5"):
        Settings(stop_grace_s=-0.5)
