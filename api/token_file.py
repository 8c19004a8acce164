"""Reads the file of `--api-token-file`: the tokens that open the API, one a line.

The rule: no error shows a token. A file with a bad line gives no tokens at all, so that a mistake neither opens the API
nor locks out some of its callers.

A line is a token, or `name=token`; the name identifies the owner, in the file and in the audit. A token without a name
is named by its position: `token-1`, `token-2` and so on. Empty lines and lines that begin with `#` are skipped. The
daemon reads the file at its start and at each SIGHUP (`daemon/token_reload.py`).
"""

import os
import re
import stat

from ..actors.errors import PerdureError
from ..actors.plain_file import FileUnfit, read_plain
from .tokens import NamedToken, name_by_place

BYTES_MAX = 1024 * 1024
NAMED = re.compile(r"([A-Za-z0-9_.-]+)\s*=\s*(.*[^=\s].*)")  # but not a bare token with the padding of base 64
PADDED = re.compile(r"[A-Za-z0-9+/]{18,}={1,2}")  # a bare token in base 64; a shorter text is a name without a token


class TokenFileBad(PerdureError):
    """A file of tokens cannot be used."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    def __str__(self) -> str:
        return f"{self.path} cannot be used as a file of tokens: {self.why}"


def read_tokens(path: str, *, pipe_s: float = 0.0) -> tuple[NamedToken, ...]:
    """Read the tokens of a file.

    Args:
        pipe_s: How long to wait for tokens from a pipe, in seconds.

    Raises:
        TokenFileBad: The file is missing, cannot be read, has a wrong line or no token; the message says which.
    """
    try:
        content = read_plain(path, bytes_max=BYTES_MAX, pipe_s=pipe_s)
    except FileUnfit as error:
        raise TokenFileBad(path, error.why) from None
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise TokenFileBad(path, "it is not text in UTF-8.") from None
    tokens: list[NamedToken] = []
    names: set[str] = set()
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        named = NAMED.fullmatch(line)
        if named is not None and named[1] in names:
            raise TokenFileBad(path, f"line {number} gives {named[1]!r} a second token; each name has one.")
        if named is None and line.endswith("=") and (not PADDED.fullmatch(line) or len(line) % 4):
            raise TokenFileBad(path, f"line {number} has a name and no token.")
        token = named[2] if named is not None else line
        if any(char.isspace() for char in token):
            raise TokenFileBad(path, f"the token in line {number} has a blank in it.")
        token_name = named[1] if named is not None else name_by_place(len(tokens))
        if token_name in names:
            raise TokenFileBad(path, f"line {number} is named {token_name!r}, which another line has as its name.")
        names.add(token_name)
        tokens.append(NamedToken(token_name, token))
    if not tokens:
        # Usually a file that was not filled in. Without a token the API would be open, which was not intended.
        raise TokenFileBad(path, "there is no token in it.")
    return tuple(tokens)


def others_can_read(path: str) -> bool:
    """Whether other users than the owner may read the file."""
    try:
        return bool(os.stat(path).st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False
