"""Lines of a text that comes in pieces.

The rule: only a line feed ends a line, because in JSON the other line ends of Unicode may stand.

Imports read lines so (`http/management/routes/transfer.py`), and clients those of streams (`client/api_server.py`).
"""


class LineCutter:
    """Cuts pieces of bytes into lines. A line that comes in many pieces is put together once."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []  # of the line whose end has not come

    def cut(self, piece: bytes) -> list[bytes]:
        """Take a piece, and give the lines that it has ended, without their ends."""
        first, *others = piece.split(b"\n")
        lines = []
        self._begun.append(first)
        for other in others:
            lines.append(b"".join(self._begun))
            self._begun = [other]
        return lines

    def rest(self) -> bytes:
        """Give what stands behind the last line feed."""
        return b"".join(self._begun)
