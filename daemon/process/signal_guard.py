"""The daemon's handlers of SIGTERM and SIGINT, kept in place while code of the app runs.

The rule: the daemon hears both signals whatever a library of the app does to their handlers. Nothing tells when
`signal.signal` is called, so it is looked at twice a second. `daemon/daemon.py` starts it.
"""

import logging
import signal
import threading

import anyio

from .early_signals import STOP_SIGNALS

logger = logging.getLogger(__name__)

LOOK_S = 0.5


async def guard_signals(*, interval_s: float = LOOK_S) -> None:
    """Put the present handlers back whenever they have been replaced, until cancelled."""
    if threading.current_thread() is not threading.main_thread():
        return  # an embedded daemon, whose program has the signals
    ours = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    while True:
        await anyio.sleep(interval_s)
        for number, handler in ours.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
                name = signal.Signals(number).name
                logger.warning("code of the app had replaced the handler of %s; the daemon has taken it back", name)
