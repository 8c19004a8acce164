"""Text that can be stored and sent: it has a form in UTF-8.

Failures and custom statuses pass through it before they are recorded.
"""


def clean(text: str) -> str:
    """Replace lone surrogates, as odd file names have them, by question marks: UTF-8 has no form for them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
