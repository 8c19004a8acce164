"""The release of Perdure that this process runs, as other hosts and people are told of it.

The rule: it is the version of the installed package, and `unknown` in a tree that is not installed.

Hosts say it to each other and to the store, and the management API shows it.
"""

from functools import cache

UNKNOWN = "unknown"  # run from a source tree that was never installed


@cache
def own_release() -> str:
    """Perdure's version."""
    import importlib.metadata  # noqa: PLC0415  it brings the parser of e-mails; a start need not wait for that

    try:
        return importlib.metadata.version("perdure")
    except importlib.metadata.PackageNotFoundError:
        return UNKNOWN
