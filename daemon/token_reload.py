"""The tokens of a daemon, and how they are read again while it works.

The rule: SIGHUP means "read the tokens again" only if there is a file of tokens (else see `daemon/process/hangup.py`).
If the file cannot be read, the tokens stay as they are.

A daemon of one process listens to the signal; a supervisor of several hosts sends them a message
(`daemon/supervision.py`).
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

PIPE_S = 5.0  # for tokens from a pipe, at the start; after a signal no time is spent on waiting


def known_tokens(config: Config) -> tuple[str, ...] | Tokens:
    """Return the tokens that open the API; the tokens of a file can be replaced.

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
    """Make the function that reads the file again, also after user code has changed the working folder."""
    return partial(reload_tokens, tokens, os.path.abspath(path) if path is not None else None)


def reload_tokens(tokens: tuple[str, ...] | Tokens, path: str | None) -> None:
    """Read the file again, if the tokens are from a file."""
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
