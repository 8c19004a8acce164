"""What was there before is there again."""

from typing import Any

import pytest

from perdure.testing.stories.code.switch import Switch, switched


class Base:
    inherited = 1


class Below(Base):
    own = 2


def test_attributes_and_entries_are_replaced_and_put_back() -> None:
    scope: dict[str, Any] = {"x": 1}
    with switched([Switch(scope, "x", 2), Switch(Below, "own", 3), Switch(Below, "inherited", 4)]):
        assert (scope, Below.own, Below.inherited, Base.inherited) == ({"x": 2}, 3, 4, 1)
    assert (scope, Below.own, Below.inherited) == ({"x": 1}, 2, 1)
    assert "inherited" not in vars(Below)


def test_switches_are_undone_after_an_error_and_twice_at_one_place() -> None:
    scope: dict[str, Any] = {"x": 1}
    with pytest.raises(RuntimeError), switched([Switch(scope, "x", 2), Switch(scope, "x", 3)]):
        assert scope["x"] == 3
        raise RuntimeError
    assert scope["x"] == 1


def test_what_could_not_be_replaced_leaves_the_others_as_they_were() -> None:
    scope: dict[str, Any] = {"x": 1}
    with pytest.raises(KeyError), switched([Switch(scope, "x", 2), Switch(scope, "absent", 3)]):
        pass
    assert scope == {"x": 1}
