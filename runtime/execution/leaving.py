"""The closing of workflow code that leaves memory while it waits.

The rule: the code is thrown a GeneratorExit, once. Code that catches every error (a bare `except` in a loop) makes
another request and waits for it; it is left there. For this reason its context accepts the request (`Execution.close`
in `runtime/execution/drive.py`): at an error the code would try again for ever, and nothing could end it.
"""

import logging
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from ...actors.text import described

logger = logging.getLogger(__name__)


def leave(run: Callable[..., Any], code: Coroutine[Any, Any, Any] | Generator[Any, Any, Any], name: str) -> bool:
    """Close workflow code. Errors that it raises are ignored.

    Args:
        run: Runs a function in the code's context.
        name: Of the workflow.

    Returns:
        Whether it has ended without an error. Code that is left is closed once more when it leaves memory.
    """
    try:
        run(code.close)
    except BaseException as error:
        logger.debug("workflow %r raised while it was put away: %s", name, described(error))
        return False
    return True
