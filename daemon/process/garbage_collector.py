"""The settings of Python's garbage collector in a daemon.

The rule: it imports no other module of the package, so that a benchmark without a daemon in its process can have the
same settings (docs/performance.md).
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def frozen_imports() -> Iterator[None]:
    """Switch Python's cyclic garbage collector off in the block, and exempt the objects of the block from it for good.

    Modules stay in memory. If the collector traverses them again and again, the start takes a tenth longer.
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
    """Make Python's cyclic garbage collector run less often, and exempt all present objects from it.

    A workflow that ends or leaves memory leaves no cycles. With Python's own settings the collector found no garbage,
    and took a fifth of the event loop's time (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
