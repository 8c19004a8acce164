"""Signals reach a supervisor as bytes, and a host that is being started not at all."""

import signal
from multiprocessing.connection import wait

import pytest

from perdure.daemon.hosts.signals import Signals, signals_held_back
from perdure.daemon.process.early_signals import STOP_SIGNALS


def test_what_has_come_is_read_as_numbers_in_its_order_and_once() -> None:
    # Given a supervisor that heeds signals,
    before = signal.getsignal(signal.SIGTERM)
    with Signals() as signals:
        assert signals.received() == b""
        # when some come,
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
        # then they wake it, and it reads their numbers.
        assert wait([signals.reader], 0) == [signals.reader]
        assert list(signals.received()) == [signal.SIGCHLD, signal.SIGTERM, signal.SIGINT]
        assert signals.received() == b""
    # Afterwards the handlers are the former ones.
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_that_comes_while_a_host_is_started_is_delivered_afterwards(number: signal.Signals) -> None:
    with Signals() as signals:
        with signals_held_back():
            signal.raise_signal(number)
            assert signals.received() == b""
        assert list(signals.received()) == [number]
