"""The tokens of a daemon, and how they are read again while it works.

The rule: SIGHUP means "read the tokens again" only where there is a file of them; elsewhere it ends the process, as
ever. A file that cannot be read leaves the tokens as they are.

A daemon of one process listens to the signal; the supervisor of several tells its hosts (`daemon/supervision.py`).
"""

import logging
import os
import signal
from collections.abc import Callable
from functools import partial

import anyio
from anyio.abc import TaskStatus

from ..api.token_file import TokenFileBad, others_can_read, read_tokens
from ..api.tokens import Tokens
from .config import Config

logger = logging.getLogger(__name__)

PIPE_S = 5.0  # for tokens that come through a pipe at the start; at a signal nothing is waited for


def known_tokens(config: Config) -> tuple[str, ...] | Tokens:
    """The tokens that open the API; those of a file can be replaced.

    Raises:
        TokenFileBad: The file cannot be used.
    """
    path = config.api_token_file
    if path is None:
        return config.api_tokens
    tokens = read_tokens(path, pipe_s=PIPE_S)
    if others_can_read(path):
        logger.warning("%s can be read by other users of this machine: chmod 600 it", path)
    return Tokens(tokens)


def reloading(tokens: tuple[str, ...] | Tokens, path: str | None) -> Callable[[], None]:
    """Make the function that reads the file again, wherever user code has moved the working folder by then."""
    return partial(reload_tokens, tokens, os.path.abspath(path) if path is not None else None)


def reload_tokens(tokens: tuple[str, ...] | Tokens, path: str | None) -> None:
    """Read the file again, if there is one."""
    if path is None or not isinstance(tokens, Tokens):
        return
    try:
        found = read_tokens(path)
    except TokenFileBad as error:
        logger.error("the tokens stay as they are: %s", error)
        return
    tokens.replace(found)
    logger.info("%d tokens are known from now on, from %s", len(found), path)


async def watch_reload(reload: Callable[[], None], *, task_status: TaskStatus[None]) -> None:
    """Call `reload` at each SIGHUP."""
    with anyio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            reload()
