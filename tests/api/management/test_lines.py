"""Pieces of bytes that are cut anywhere become lines."""

import pytest

from perdure.api.management.lines import LineCutter


@pytest.mark.parametrize(
    ("pieces", "lines", "rest"),
    [
        ([], [], b""),
        ([b""], [], b""),
        ([b"a\nb"], [b"a"], b"b"),
        ([b"a", b"b\n", b"\nc\r", b"\n"], [b"ab", b"", b"c\r"], b""),
        (["\u2028\x85\n".encode()[:2], "\u2028\x85\n".encode()[2:]], ["\u2028\x85".encode()], b""),
    ],
)
def test_only_a_line_feed_ends_a_line(pieces: list[bytes], lines: list[bytes], rest: bytes) -> None:
    cutter = LineCutter()
    assert [line for piece in pieces for line in cutter.cut(piece)] == lines
    assert cutter.rest() == rest


def test_a_line_of_many_pieces_takes_time_in_proportion_to_its_length() -> None:
    cutter = LineCutter()
    for _ in range(20_000):
        assert cutter.cut(b"x" * 5_000) == []
    (line,) = cutter.cut(b"\n")
    assert len(line) == 100_000_000
