"""The Python reference has every public name, and the page of modules every module."""

import ast
import inspect
import re
import runpy
from dataclasses import is_dataclass
from enum import Enum
from typing import Any

import pytest
from msgspec import Struct

import perdure
import perdure.testing

from ..support.paths import ROOT
from ..support.source import modules, parsed, read


@pytest.fixture(scope="module")
def site() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "site" / "modules.py"))


@pytest.mark.parametrize("package", [perdure, perdure.testing], ids=["perdure", "perdure.testing"])
def test_every_public_name_is_in_the_reference(package: Any) -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text()
    found = re.findall(rf"^::: {re.escape(package.__name__)}\.(\w+)$", page, re.MULTILINE)
    assert sorted(found) == sorted(package.__all__)


def test_every_module_is_in_the_page_of_modules_and_says_what_it_is(site: dict[str, Any]) -> None:
    told = {name: said for package in site["packages"]() for name, said in site["modules"](package)}
    named = {".".join(("perdure", *module.with_suffix("").parts)).removesuffix(".__init__") for module in modules()}
    assert told.keys() == named
    assert [name for name, said in told.items() if not said] == []
    page = site["page"]()
    assert [name for name in told if f"`{name}`: " not in page] == []


def test_marks_of_markdown_are_words_in_the_page(site: dict[str, Any]) -> None:
    assert site["escaped"]("a_b `c_d` <e> [f]") == r"a\_b `c_d` \<e\> \[f\]"


@pytest.fixture(scope="module")
def fields() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "site" / "fields.py"))


RECORDS = [
    record
    for package in (perdure, perdure.testing)
    for name in package.__all__
    if inspect.isclass(record := getattr(package, name)) and (is_dataclass(record) or issubclass(record, Struct | Enum))
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_each_field_of_a_public_record_says_what_it_is(record: type, fields: dict[str, Any]) -> None:
    (path,) = [path for path in modules() if ".".join(("perdure", *path.with_suffix("").parts)) == record.__module__]
    source = read(path)
    found = [node for node in parsed(path).body if isinstance(node, ast.ClassDef) and node.name == record.__name__]
    comments, lines = fields["comments_of"](source), source.splitlines()
    named = {
        fields["name_of"](each): fields["comment_of"](each, comments, lines) for each in fields["fields_of"](found[0])
    }
    assert named
    assert [name for name, said in named.items() if not said] == []


def test_a_comment_of_a_field_becomes_its_docstring(fields: dict[str, Any]) -> None:
    source = """class A:
    a: int  # in seconds
    # of "two"
    # lines
    b: int = 1  # noqa: X
    _c = 2  # own
    d = 3
"""
    made = fields["documented"](source)
    assert made.splitlines()[2:] == [
        "    'In seconds.'",
        '    # of "two"',
        "    # lines",
        "    b: int = 1  # noqa: X",
        "    'Of \"two\" lines.'",
        "    _c = 2  # own",
        "    d = 3",
    ]
    assert fields["documented"](made) == made
