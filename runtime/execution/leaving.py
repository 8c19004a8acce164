"""The way out of workflow code that is put away while it waits.

The rule: the code is thrown a GeneratorExit, once. Code that catches whatever it is thrown (a bare `except` in a loop)
asks for something more and waits for it: there it is left. That is why its context gives it what it asks for
(`Execution.close` in `runtime/execution/drive.py`): at an error it would try again for ever, and nothing could end it.
"""

import logging
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from ...actors.text import described

logger = logging.getLogger(__name__)


def leave(run: Callable[..., Any], code: Coroutine[Any, Any, Any] | Generator[Any, Any, Any], name: str) -> bool:
    """Close workflow code. What it raises counts for nothing.

    Args:
        run: Runs a function in the code's context.
        name: Of the workflow.

    Returns:
        Whether it has ended without an error. Code that is left closes once more when it leaves memory.
    """
    try:
        run(code.close)
    except BaseException as error:
        logger.debug("workflow %r raised while it was put away: %s", name, described(error))
        return False
    return True
