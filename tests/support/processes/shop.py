"""A daemon with a small shop, for tests of the client and of the commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .daemon import Daemon

APP = Path(__file__).with_name("shop_app.py")


@contextmanager
def shop(folder: Path, *options: str) -> Iterator[Daemon]:
    """Run the daemon in a folder."""
    with Daemon(APP, folder / "perdure.db", *options) as daemon:
        yield daemon
