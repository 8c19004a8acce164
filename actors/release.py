"""The release of Perdure that this process runs, as it is reported to other hosts and to people.

The rule: it is the version of the installed package, and `unknown` in a tree that is not installed.

Hosts say it to each other and to the store, and the management API shows it.
"""

from functools import cache

UNKNOWN = "unknown"  # run from a source tree that was never installed


@cache
def own_release() -> str:
    """Perdure's version."""
    import importlib.metadata  # noqa: PLC0415  it imports the parser of e-mails, which would slow the start

    try:
        return importlib.metadata.version("perdure")
    except importlib.metadata.PackageNotFoundError:
        return UNKNOWN
