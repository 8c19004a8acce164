"""The options that commands share: each text is read as the API reads it, or refused with a sentence."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec
import pytest

from perdure.cli.instances.options import FILTER_OPTIONS, filter_of, length, moment, pairs, payload

CONTEXT = click.Context(click.Command("x"))
PARAMETER = click.Option(["--it"])


def parsed(*arguments: str) -> dict[str, object]:
    """The filter of a command line."""
    command = click.Command("x", params=list(FILTER_OPTIONS))
    return filter_of(dict(command.make_context("x", list(arguments)).params))


@pytest.mark.parametrize(
    ("arguments", "filter_"),
    [
        ([], {}),
        (["--status", "running,failed", "--status", "stalled"], {"status": ["running", "failed", "stalled"]}),
        (["--status", "!running"], {"status": ["!running"]}),
        (
            ["--name", "Order", "--id-prefix", "o-", "--parent", "p"],
            {"name": ["Order"], "id_prefix": "o-", "parent": "p"},
        ),
        (["--root"], {"root": True}),
        (["--no-root"], {"root": False}),
        (["--tag", "a=b=c", "--tag", "d="], {"tags": {"a": "b=c", "d": ""}}),
        (["--stuck-for", "15m"], {"stuck_for": "15m"}),
        (["--created-after", "2026-11-26T10:00:00Z"], {"created_after": "2026-11-26T10:00:00Z"}),
    ],
)
def test_filters_are_called_as_the_api_calls_them(arguments: list[str], filter_: dict[str, object]) -> None:
    assert parsed(*arguments) == filter_


def test_a_moment_may_be_how_long_ago_it_is() -> None:
    text = moment(CONTEXT, PARAMETER, "7d")
    assert text is not None
    ago = datetime.now(UTC) - datetime.fromisoformat(text)
    assert timedelta(days=7) <= ago < timedelta(days=7, minutes=1)


@pytest.mark.parametrize("read", [moment, length])
def test_what_is_neither_is_refused(read: object) -> None:
    with pytest.raises(click.BadParameter, match="yesterday"):
        read(CONTEXT, PARAMETER, "yesterday")  # type: ignore[operator]


def test_lengths_are_seconds() -> None:
    assert [length(CONTEXT, PARAMETER, text) for text in ("90", "1.5m", "2h", None)] == [90, 90, 7200, None]


def test_a_pair_without_its_sign_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="KEY=VALUE"):
        pairs(CONTEXT, PARAMETER, ["a"])


def test_a_payload_is_json_a_file_or_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file.json").write_text('{"a": 1e400}')
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[1, 2]")))
    for text, found in (('"so"', b'"so"'), (f"@{tmp_path}/file.json", b'{"a": 1e400}'), ("-", b"[1, 2]")):
        assert payload(CONTEXT, PARAMETER, text) == msgspec.Raw(found)


@pytest.mark.parametrize("text", ["so", "{", "", "@/no/such/file", "1 2"])
def test_anything_but_a_payload_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        payload(CONTEXT, PARAMETER, text)
