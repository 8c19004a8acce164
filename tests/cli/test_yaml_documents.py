"""A YAML text is measured before it is built: small texts of large values are refused at once, with their place."""

import re
import time

import pytest

from perdure.cli.yaml_documents import (
    DEPTH_MAX,
    PLAIN_CHARACTERS_MAX,
    TEXT_CHARACTERS_MAX,
    VALUES_MAX,
    YamlRefused,
    load_documents,
)

# Nine levels of nine aliases each: 9^9 values.
ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{','.join(['*' + chr(97 + level)] * 9)}]\n" for level in range(9)
)
# The same with mappings and merge keys, whose pairs are copied.
MERGES = "a: &a {k1: 1, k2: 2}\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)}\n"
    + "".join(f"  k{entry}: {{<<: *{chr(97 + level)}}}\n" for entry in range(9))
    for level in range(9)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ALIASES, f"line 6, column .*more than {VALUES_MAX} values"),
        (MERGES, f"more than {VALUES_MAX} values"),
        ("&a {" * 9 + "k: *a" + "}" * 9, "line 1.*contains it|not YAML"),
        ("a: &a [*a]", r"line 1, column 8: \*a stands for a value that contains it\."),
        ("a: &a {b: {c: *a}}", r"\*a stands for a value that contains it\."),
        ("[" * 5000, f"more than {DEPTH_MAX} deep"),
        ("{a: " * 5000, f"more than {DEPTH_MAX} deep"),
        ("".join(f"{' ' * level}a:\n" for level in range(150)), f"more than {DEPTH_MAX} deep"),
        ("- " * 5000, f"more than {DEPTH_MAX} deep"),
        ("a: " + "9" * 5000, f"more than {PLAIN_CHARACTERS_MAX} characters"),
        ("a: 1" + ":1" * 200_000, f"more than {PLAIN_CHARACTERS_MAX} characters"),
        ("x" * (TEXT_CHARACTERS_MAX + 1), f"more than {TEXT_CHARACTERS_MAX} characters"),
        ("at: 2026-13-01", "cannot be read"),
        ("a: *nothing", "not YAML: found undefined alias"),
        ("{[a]: b}", "not YAML"),
        ("a: !!python/object/apply:os.getcwd []", "not YAML"),
        ("a: [", "line 1, column 5: it is not YAML"),
        ("\x00", "not YAML"),
    ],
    ids=lambda value: re.sub(r"\W+", "-", value[:24]),
)
def test_a_text_beyond_a_limit_is_refused_at_once(text: str, problem: str) -> None:
    began_s = time.process_time()
    with pytest.raises(YamlRefused, match=problem):
        load_documents(text)
    assert time.process_time() - began_s < 10  # a walk over each of the first would take hours


def test_values_are_counted_also_without_aliases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.cli.yaml_documents.VALUES_MAX", 100)
    assert load_documents("- x\n" * 99) == [["x"] * 99]
    with pytest.raises(YamlRefused, match="more than 100 values"):
        load_documents("- x\n" * 100)


def test_aliases_that_stand_for_little_are_taken() -> None:
    text = "limits: &limits {a: 1, b: 2}\nfirst: *limits\nsecond: {<<: *limits, b: 3}\n---\n\n---\nother: &limits 4\n"
    first, second = load_documents(text)
    assert first == {"limits": {"a": 1, "b": 2}, "first": {"a": 1, "b": 2}, "second": {"a": 1, "b": 3}}
    assert second == {"other": 4}


def test_a_long_text_in_quotes_is_taken() -> None:
    # As certificates and policies are written in Dapr's components.
    text = "a: '" + "x" * 100_000 + "'\nb: |\n  " + "y" * 100_000 + "\n"
    assert [len(value) for value in load_documents(text)[0].values()] == [100_000, 100_001]
