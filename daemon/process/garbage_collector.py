"""The settings of Python's garbage collector in a daemon.

The rule: it imports nothing of ours, so that a benchmark without a daemon in its process can have the same settings
(docs/performance.md).
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def frozen_imports() -> Iterator[None]:
    """Import in the block without Python's cyclic garbage collector, and keep all objects of then from it for good.

    Modules stay. A start in which the collector passes over them again and again takes a tenth longer.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()


def tune_garbage_collector() -> None:
    """Make Python's cyclic garbage collector run less often, and pass over all objects that there are by now.

    A workflow that has ended, or has left memory, leaves no cycles behind. With Python's own settings the collector
    found nothing, and took a fifth of the event loop's time (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
