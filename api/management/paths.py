"""Pieces of a path of the management API, encoded.

The rule: an id may be any text, and stays one piece: neither a slash nor dots in it lead elsewhere.
"""

from urllib.parse import quote


def path_piece(text: str) -> str:
    """Encode a piece of a path. One of dots alone would be taken for a step up.

    Raises:
        UnicodeEncodeError: It has a lone surrogate, which no URL can hold.
    """
    encoded = quote(text, safe="")
    return encoded if text.strip(".") else encoded.replace(".", "%2E")
