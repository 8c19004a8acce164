"""The names `datetime` and `date` give the world's date, and standard dates."""

import copy
import datetime as standard
import pickle
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from perdure.testing.stories.code.dates import dated

AT_S = 1_767_225_600.25


@pytest.fixture
def made() -> tuple[Any, Any, Any]:
    found = dated(lambda: AT_S)
    return found[id(datetime)], found[id(date)], found[id(standard)]


def test_now_is_the_worlds(made: tuple[Any, Any, Any]) -> None:
    sim, day, module = made
    zone = timezone(timedelta(hours=2))
    assert sim.now(zone) == datetime.fromtimestamp(AT_S, zone)
    assert sim.now() == sim.today() == datetime.fromtimestamp(AT_S)
    assert sim.utcnow() == datetime(2026, 1, 1, 0, 0, 0, 250_000)
    assert day.today() == datetime.fromtimestamp(AT_S).date()
    assert (module.datetime, module.date, module.timedelta) == (sim, day, timedelta)


def test_what_is_made_is_standard(made: tuple[Any, Any, Any]) -> None:
    sim, day, _ = made
    values = [sim(2020, 1, 2), sim.strptime("2020", "%Y"), sim.combine(date(2020, 1, 1), standard.time()), sim.min]
    assert {type(value) for value in values} == {datetime}
    assert type(day(2020, 1, 2)) is type(day.fromisoformat("2020-01-02")) is date
    assert pickle.dumps(sim(2020, 1, 2)) == pickle.dumps(copy.deepcopy(datetime(2020, 1, 2)))


def test_standard_dates_are_instances(made: tuple[Any, Any, Any]) -> None:
    sim, day, _ = made
    assert isinstance(datetime(2020, 1, 2), sim)
    assert isinstance(datetime(2020, 1, 2), day)
    assert not isinstance(date(2020, 1, 2), sim)
    assert issubclass(datetime, sim)


def test_outside_of_a_world_it_is_the_machines() -> None:
    sim = dated(lambda: None)[id(datetime)]
    assert abs(sim.now() - datetime.now()) < timedelta(minutes=1)
