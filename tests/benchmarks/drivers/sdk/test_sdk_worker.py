"""The worker's script, as far as it needs no SDK: its load, and how it tells turns apart."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from perdure.benchmarks.drivers.sdk import sdk_worker

MS = 1_000_000


def test_as_many_items_are_under_way_as_asked_and_each_is_timed() -> None:
    # Given items that wait for each other, so that three must be under way at once,
    barrier = threading.Barrier(3)
    took_us = sdk_worker.closed_loop(lambda: print(barrier.wait(10)), in_flight=3, seconds=0)
    # then with no time given each lane has carried out one.
    assert len(took_us) == 3


def test_the_loop_goes_on_until_its_time_is_over() -> None:
    assert len(sdk_worker.closed_loop(lambda: None, in_flight=1, seconds=0.2)) > 1


def test_an_item_that_fails_ends_the_loop_with_its_error() -> None:
    def item() -> None:
        raise ValueError("wrong result")

    with pytest.raises(ValueError, match="wrong result"):
        sdk_worker.closed_loop(item, in_flight=2, seconds=60)


def test_a_turn_is_told_from_what_led_to_it_and_what_it_led_to() -> None:
    # Given a chain of two activities,
    stamps = [
        sdk_worker.MessageStamp(sdk_worker.TURN_CAME, 0),
        sdk_worker.MessageStamp(sdk_worker.TURN_ANSWERED, 1 * MS),
        sdk_worker.MessageStamp(sdk_worker.TASK_CAME, 2 * MS),
        sdk_worker.MessageStamp(sdk_worker.TASK_ANSWERED, 10 * MS),
        sdk_worker.MessageStamp(sdk_worker.TURN_CAME, 13 * MS, 300),  # 3 ms in the host,
        sdk_worker.MessageStamp(sdk_worker.TURN_ANSWERED, 18 * MS),  # 5 in the worker,
        sdk_worker.MessageStamp(sdk_worker.TASK_CAME, 20 * MS, 90),  # and 2 in the host
        sdk_worker.MessageStamp(sdk_worker.TASK_ANSWERED, 30 * MS),
        sdk_worker.MessageStamp(sdk_worker.TURN_CAME, 33 * MS),
        sdk_worker.MessageStamp(sdk_worker.TURN_ANSWERED, 34 * MS),
    ]
    # then the turn between the two counts, and neither the first turn nor the last.
    assert sdk_worker.turns(stamps) == [(5.0, 5.0, 300)]


def test_without_the_sdk_the_script_says_what_is_missing() -> None:
    # When it is run by a Python that has neither the SDK nor Perdure,
    script = Path(sdk_worker.__file__)
    command = [sys.executable, "-I", "-S", str(script), '{"port": "1", "workload": "W1"}']
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    # then it came as far as the import of the SDK.
    assert found.returncode != 0
    assert "No module named 'dapr'" in found.stderr
