"""Text that can be stored and sent."""


def clean(text: str) -> str:
    """Replace what UTF-8 has no form for: lone surrogates, as in odd file names."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
