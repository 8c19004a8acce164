"""Cuts a text that arrives in pieces into lines.

The rule: only a line feed ends a line, because JSON may contain the other line ends of Unicode.

Imports (`http/management/routes/transfer.py`) and streams of clients (`client/api_server.py`) are read with it.
"""


class LineCutter:
    """Cuts pieces of bytes into lines. The pieces of a line are joined once."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []  # the pieces of the line that is incomplete

    def cut(self, piece: bytes) -> list[bytes]:
        """Add a piece, and return the lines that it completes, without their line ends."""
        first, *others = piece.split(b"\n")
        lines = []
        self._begun.append(first)
        for other in others:
            lines.append(b"".join(self._begun))
            self._begun = [other]
        return lines

    def rest(self) -> bytes:
        """Return the bytes after the last line feed."""
        return b"".join(self._begun)
