"""A file of tokens is read whole or not at all, and no error shows a token."""

from pathlib import Path

import pytest

from perdure.api.token_file import TokenFileBad, others_can_read, read_tokens


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        ("secret", ("secret",)),
        ("secret\n", ("secret",)),
        ("old\nnew\n", ("old", "new")),
        ("ops=old\nshop = new\n", ("old", "new")),
        ("\n# whose they are\n  ops=s3cret  \n\n", ("s3cret",)),
        ("\ufeffops=a\r\nb\r\n", ("a", "b")),
        ("ops=a=b", ("a=b",)),
        ("ops=YWJj==", ("YWJj==",)),
        ("c29tZSBsb25nIHRva2VuIQ==", ("c29tZSBsb25nIHRva2VuIQ==",)),
        ("größe", ("größe",)),
        ("a#b", ("a#b",)),
    ],
)
def test_a_line_is_a_token_or_a_name_and_its_token(path: Path, content: str, tokens: tuple[str, ...]) -> None:
    path.write_bytes(content.encode())
    assert tuple(token for _, token in read_tokens(str(path))) == tokens


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("ops=old\nshop = new\n", ["ops", "shop"]),
        ("old\nops=new\nother\n", ["token-1", "ops", "token-3"]),
        ("token-1=a\nb", ["token-1", "token-2"]),
    ],
)
def test_a_token_has_the_name_of_its_line_or_of_its_place(path: Path, content: str, names: list[str]) -> None:
    path.write_text(content)
    assert [token.name for token in read_tokens(str(path))] == names


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "there is no token in it"),
        (b"\n# s3cret\n\n", "there is no token in it"),
        (b"s3cret\nops=\n", "line 2 has a name and no token"),
        (b"ops = \n", "line 1 has a name and no token"),
        (b"ops==\n", "line 1 has a name and no token"),
        (b"ops=s3cret\nops=s3cret2\n", "line 2 gives 'ops' a second token"),
        (b"token-2=s3cret\ns3cret2\n", "line 2 is named 'token-2'"),
        (b"my s3cret\n", "the token in line 1 has a blank in it"),
        (b"s3cret \xff\n", "it is not text in UTF-8"),
        (b"s3cret\n" * 200_000, "it has more than 1048576 bytes"),
    ],
)
def test_a_fault_is_reported_with_its_line_and_without_a_token(path: Path, content: bytes, why: str) -> None:
    path.write_bytes(content)
    with pytest.raises(TokenFileBad) as error:
        read_tokens(str(path))
    assert why in str(error.value)
    assert str(path) in str(error.value)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("what", ["missing", "a folder"])
def test_a_file_that_cannot_be_read_is_an_error(path: Path, what: str) -> None:
    if what == "a folder":
        path.mkdir()
    with pytest.raises(TokenFileBad, match=f"{path} cannot be used"):
        read_tokens(str(path))


@pytest.mark.parametrize(("mode", "others"), [(0o600, False), (0o400, False), (0o640, True), (0o644, True)])
def test_it_is_known_who_else_can_read_it(path: Path, mode: int, others: bool) -> None:
    path.touch()
    path.chmod(mode)
    assert others_can_read(str(path)) is others
    path.unlink()
    assert not others_can_read(str(path))
