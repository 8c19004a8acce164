"""The text behind a flag becomes a value, or a sentence that says which texts have one."""

from collections.abc import Callable
from typing import Any

import pytest

from perdure.cli.parsing import (
    parse_app_id,
    parse_count,
    parse_count_or_zero,
    parse_host,
    parse_host_names,
    parse_path,
    parse_port,
    parse_processes,
    parse_retention,
    parse_seconds,
    parse_size,
    parse_tokens,
)
from perdure.runtime.operations.retention.policy import Retention


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_port, "0", 0),
        (parse_port, "65535", 65_535),
        (parse_count, "1", 1),
        (parse_count_or_zero, "0", 0),
        (parse_processes, "64", 64),
        (parse_seconds, "10", 10.0),
        (parse_seconds, "2.5", 2.5),
        (parse_path, "./perdure.db", "./perdure.db"),
        (parse_path, ":memory:", ":memory:"),
        (parse_host, "::1", "::1"),
        (parse_host, "fe80::1%eth0", "fe80::1%eth0"),
        (parse_app_id, "order-shop_2", "order-shop_2"),
        (parse_tokens, "one", ("one",)),
        (parse_retention, "completed=30m", Retention(completed_us=1_800_000_000)),
        (
            parse_retention,
            "failed=7d, terminated=90s,any=0,audit=90d",
            Retention(
                failed_us=604_800_000_000,
                terminated_us=90_000_000,
                any_terminal_us=0,
                audit_us=7_776_000_000_000,
            ),
        ),
        (parse_tokens, "old, new", ("old", "new")),
    ],
)
def test_a_text_is_read_as_its_value(parse: Callable[[str], Any], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("512Ki", 524_288), ("4Mi", 4_194_304), ("1Gi", 2**30), ("2k", 2000), ("3M", 3_000_000)],
)
def test_a_size_is_read_as_daprd_reads_it(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("parse", "text", "allowed"),
    [
        (parse_port, "65536", "0 to 65535"),
        (parse_port, "٣", "0 to 65535"),
        (parse_count, "0", "from 1 up"),
        (parse_count_or_zero, "-1", "from 0 up"),
        (parse_processes, "65", "1 to 64"),
        (parse_seconds, "nan", "10 or 2.5"),
        (parse_seconds, "-1", "10 or 2.5"),
        (parse_size, "4MB", "4Mi"),
        (parse_size, "0", "above 0"),
        (parse_path, "mysql://db", "path of a file"),
        (parse_path, "", "path of a file"),
        (parse_host, "two words", "127.0.0.1 or localhost"),
        (parse_retention, "", "completed=TIME"),
        (parse_retention, "30m", "completed=TIME"),
        (parse_retention, "stalled=30m", "completed=TIME"),
        (parse_retention, "completed=", "no time for completed"),
        (parse_retention, "completed=-1", "no time for completed"),
        (parse_retention, "failed=1d,failed=2d", "failed twice"),
        (parse_app_id, "a b", "letters, digits, dashes and underscores"),
    ],
)
def test_a_text_without_a_value_is_named_with_those_that_have_one(
    parse: Callable[[str], Any], text: str, allowed: str
) -> None:
    with pytest.raises(ValueError, match=allowed) as refusal:
        parse(text)
    assert str(refusal.value).startswith(repr(text))


@pytest.mark.parametrize("text", ["", ",", "secret,", " "])
def test_an_empty_token_is_refused_without_a_word_about_the_others(text: str) -> None:
    with pytest.raises(ValueError, match="empty") as refusal:
        parse_tokens(text)
    assert "secret" not in str(refusal.value)


def test_names_of_hosts_are_read_without_ports() -> None:
    assert parse_host_names("") == ()
    assert parse_host_names("a.example.com, .svc.local,*") == ("a.example.com", ".svc.local", "*")
    for wrong in ("a.example.com:80", "http://a.example.com", "*.example.com", "a..b", ",", "a b"):
        with pytest.raises(ValueError, match="is not a host name without a port"):
            parse_host_names(wrong)
