"""Encodes segments of paths of the management API.

The rule: an id may be any text, and stays one segment: a slash or dots in it do not change the path.
"""

from urllib.parse import quote


def path_piece(text: str) -> str:
    """Encode a segment of a path. Dots are encoded too if there are only dots, which would mean a step up.

    Raises:
        UnicodeEncodeError: The text has a lone surrogate, which a URL cannot contain.
    """
    encoded = quote(text, safe="")
    return encoded if text.strip(".") else encoded.replace(".", "%2E")
