"""A daemon with a small shop, for tests of the client and of the commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .daemon import Daemon

TOKEN = "ada-s-token"  # noqa: S105  of a test
APP = Path(__file__).with_name("shop_app.py")


@contextmanager
def shop(folder: Path) -> Iterator[Daemon]:
    """Run the daemon in a folder, with a token of Ada's."""
    tokens = folder / "tokens"
    tokens.write_text(f"# who may\nada={TOKEN}\n")
    with Daemon(APP, folder / "perdure.db", "--api-token-file", str(tokens)) as daemon:
        yield daemon
