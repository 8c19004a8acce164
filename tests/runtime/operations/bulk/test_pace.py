"""A bulk operation takes less of the time while answers are late, and never stops."""

from hypothesis import given
from hypothesis import strategies as st

from perdure.runtime.operations.bulk.pace import LATE_S, REST_MAX_S, SHARE_MIN, Pace

IN_TIME, LATE = [0.01] * 10, [LATE_S * 2] * 10


def test_an_operation_without_a_waiter_has_its_rate() -> None:
    pace = Pace(500.0)
    for _ in range(5):
        assert pace.step_of(0.2) == 100
        assert round(pace.rest_after(asked=100, took_s=0.05, answers_s=IN_TIME), 6) == 0.15


def test_each_late_step_halves_the_share_and_each_other_gives_some_of_it_back() -> None:
    pace = Pace(500.0)
    # A step that took 0.4 s at half the share is followed by a pause of the same length.
    assert pace.rest_after(asked=100, took_s=0.4, answers_s=LATE) == 0.4
    assert (pace.share, pace.step_of(0.2)) == (0.5, 50)
    pace.rest_after(asked=50, took_s=0.4, answers_s=LATE)
    assert (pace.share, pace.step_of(0.2)) == (0.25, 25)
    pace.rest_after(asked=25, took_s=0.01, answers_s=IN_TIME)
    assert pace.share == 0.3125
    for _ in range(6):
        pace.rest_after(asked=25, took_s=0.01, answers_s=IN_TIME)
    assert pace.share == 1.0


def test_one_slow_instance_is_its_own_affair() -> None:
    pace = Pace(500.0)
    pace.rest_after(asked=10, took_s=9.0, answers_s=[0.01] * 9 + [9.0])
    assert pace.share == 1.0


@given(
    rate=st.floats(min_value=0.01, max_value=10_000),
    steps=st.lists(
        st.tuples(st.integers(0, 2_000), st.floats(0, 100), st.lists(st.floats(0, 100), max_size=5)), max_size=30
    ),
)
def test_it_never_goes_faster_than_its_rate_and_never_stands_still(
    rate: float, steps: list[tuple[int, float, list[float]]]
) -> None:
    pace = Pace(rate)
    for asked, took_s, answers_s in steps:
        rest_s = pace.rest_after(asked=asked, took_s=took_s, answers_s=answers_s)
        assert SHARE_MIN <= pace.share <= 1.0
        assert pace.step_of(0.2) >= 1
        assert took_s + rest_s >= asked / rate * 0.999
        assert rest_s <= max(REST_MAX_S, asked / rate)
