"""Python's garbage collector, as the daemon and those who measure it set it.

Of its own, and importing nothing of ours, so that a process without a daemon
in it can do the same (docs/performance.md).
"""

import gc


def calm_collector() -> None:
    """Let Python's cyclic garbage collector look less often, and not at what was loaded once and for all.

    A workflow that has ended, or left memory asleep, leaves no cycles behind, so collecting finds nothing
    and took a fifth of the event loop's time (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
