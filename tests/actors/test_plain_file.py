"""Reading a file of any kind ends at once: with its content, or with a sentence."""

import math
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from perdure.actors.hosting.flight_record import FlightRecord
from perdure.actors.plain_file import FileUnfit, kind_of, misfit, read_plain
from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.postgres.url import FILES, parse_url
from perdure.actors.store.sqlite.identity import BESIDE, Hold
from perdure.api.token_file import TokenFileBad, read_tokens
from perdure.cli.dapr_config import DaprFileError, read_config
from perdure.cli.instances.options import read_input
from perdure.daemon.loader import AppNotFound, load_app

T = TypeVar("T")

WITHIN_S = 10.0  # by far; a blocked read would never end
HUGE = 1 << 40


def make_socket(path: Path) -> None:
    there = os.getcwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(there)


def make_huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(HUGE)  # a hole


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (os.mkfifo, "it is a pipe"),
    "a folder": (Path.mkdir, "it is a folder"),
    "a socket": (make_socket, "it is a socket"),
    "a device without an end": (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
    "a file of a terabyte": (make_huge, ""),
    "a link that leads nowhere": (lambda path: path.symlink_to("nowhere"), "No such file"),
    "a link that leads to itself": (lambda path: path.symlink_to(path), "Too many levels"),
}


@pytest.fixture(params=ODD)
def odd(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ended(function: Callable[[], T]) -> T:
    """Call a function that must not block, in a thread that can be left behind."""
    found: list[T] = []
    raised: list[BaseException] = []

    def call() -> None:
        try:
            found.append(function())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(WITHIN_S)
    assert not thread.is_alive(), "it blocks"
    if raised:
        raise raised[0]
    return found[0]


def test_a_file_is_read_whole_and_no_larger_one(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert read_plain(tmp_path / "x", bytes_max=5) == b"12345"
    with pytest.raises(FileUnfit, match="it has more than 4 bytes"):
        read_plain(tmp_path / "x", bytes_max=4)


def test_whatever_else_stands_there_is_a_sentence_at_once(odd: str, tmp_path: Path) -> None:
    ODD[odd][0](tmp_path / "x")
    with pytest.raises(FileUnfit) as caught:
        ended(lambda: read_plain(tmp_path / "x", bytes_max=1000))
    assert str(caught.value).startswith(f"{tmp_path}/x: it ")
    assert str(caught.value).endswith(".")


def test_what_stands_there_is_said_without_opening_it(odd: str, tmp_path: Path) -> None:
    make, why = ODD[odd]
    make(tmp_path / "x")
    said = misfit(str(tmp_path / "x"))
    assert (why in said) if said is not None else why == ""


def test_a_link_is_a_kind_of_its_own_where_links_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    assert kind_of(str(tmp_path / "link")) is None
    assert kind_of(str(tmp_path / "link"), follow=False) == "it is a symbolic link."


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A pipe, and an end of it for writing."""
    os.mkfifo(tmp_path / "pipe")
    other = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(tmp_path / "pipe", os.O_WRONLY)
    yield tmp_path / "pipe", writing
    os.close(other)
    with suppress(OSError):
        os.close(writing)


def test_a_pipe_with_a_writer_is_read_to_its_end(pipe: tuple[Path, int]) -> None:
    path, writing = pipe
    read = threading.Event()

    def write() -> None:
        os.write(writing, b"to")
        read.wait(0.05)  # nothing depends on it: the reader may see two pieces or one
        os.write(writing, b"ken")
        os.close(writing)

    threading.Thread(target=write, daemon=True).start()
    assert ended(lambda: read_plain(path, bytes_max=100, pipe_s=math.inf)) == b"token"


def test_a_pipe_through_which_nothing_comes_is_left(pipe: tuple[Path, int]) -> None:
    path, _ = pipe
    for patience_s in (0.0, 0.05):
        with pytest.raises(FileUnfit, match="no data comes out of it"):
            ended(lambda wait_s=patience_s: read_plain(path, bytes_max=100, pipe_s=wait_s))  # type: ignore[misc]


def parse_with(name: str, path: str) -> object:
    return parse_url(f"postgresql://h/d?{name}={path}")


# The ways in which a file is read: the function of each, and its error.
DOORS: dict[str, tuple[str, Callable[[str], object], type[Exception]]] = {
    "--api-token-file, --token-file": ("tokens", read_tokens, TokenFileBad),
    "APP": ("app.py", load_app, AppNotFound),
    "daprd --config": ("config.yaml", lambda path: read_config([path]), DaprFileError),
    "import FILE, --input @FILE": ("input.json", read_input, FileUnfit),
    "--data": ("p.db", lambda path: Hold.take(os.path.realpath(path), create=True).header(), StoreFailed),
    **{
        f"--data postgresql://...?{name}=": (
            "x.pem",
            partial(parse_with, name),
            StoreFailed,
        )
        for name in FILES
    },
}
# These report faults of the content, later.
LATER = {("--data", "a file of a terabyte"), ("--data", "a link that leads nowhere")}


@pytest.mark.parametrize("door", DOORS)
def test_no_door_waits_for_a_file_or_takes_what_is_none(door: str, odd: str, tmp_path: Path) -> None:
    name, open_, error = DOORS[door]
    ODD[odd][0](tmp_path / name)
    if (door, odd) in LATER or (odd == "a file of a terabyte" and "postgresql" in door):
        ended(lambda: open_(str(tmp_path / name)))
        return
    with pytest.raises(error) as caught:
        ended(lambda: open_(str(tmp_path / name)))
    assert any(named in str(caught.value) for named in (name, "nowhere", "/dev/zero"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("beside", BESIDE)
def test_what_is_beside_a_store_is_a_file_or_nothing(beside: str, odd: str, tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    ODD[odd][0](tmp_path / f"p.db{beside}")
    if odd == "a file of a terabyte":
        return  # the store compares its content

    with pytest.raises(StoreFailed, match=f"p.db{beside} cannot be used beside a store: it is a .*\\. Move it away"):
        ended(lambda: Hold.take(str(path), create=True))


def test_a_flight_record_that_is_none_is_done_without(odd: str, tmp_path: Path) -> None:
    path = tmp_path / "p.db.flight"
    ODD[odd][0](path)
    record = FlightRecord(path, actor_type="workflow", slots=1)
    ended(record.open)
    assert record.suspects == []
    record.close()
