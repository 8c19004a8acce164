"""Running somebody's code inside the event loop, but outside of any task.

Turns run synchronously in the host's own task. Code in a turn that asks for
"the current task", as `asyncio.timeout` and anyio's scopes do, would get the
host's, and cancel it some time later. In here it finds none, and fails at once.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_current_task() -> Iterator[None]:
    """Take the current asyncio task away for the length of the block.

    The two functions are asyncio's own for this ("Extending asyncio: Task
    lifetime support"). Trio has no such thing; there, workflow code that opens
    a scope breaks its host. Daemons run on asyncio, tests on both.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        yield
        return
    task = asyncio.current_task(loop)
    if task is None:
        yield
        return
    asyncio._leave_task(loop, task)
    try:
        yield
    finally:
        asyncio._enter_task(loop, task)
