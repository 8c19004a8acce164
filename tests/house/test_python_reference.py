"""The Python reference has every public name, and the page of modules every module."""

import re
import runpy
from typing import Any

import pytest

import perdure
import perdure.testing

from ..support.paths import ROOT
from ..support.source import modules


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
