"""Every "contract N.N" in the repository is a heading of `docs/dapr/contract.md`, and every heading there is cited."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.paths import ROOT
from ..support.source import read, texts

CONTRACT = Path("docs", "dapr", "contract.md")

# The document itself, which has headings in place of citations, and this file, whose citations are made up.
NOT_READ = (CONTRACT, Path(__file__).relative_to(ROOT))

NUMBER = r"\d+(?:\.\d+)?"
NEXT = rf"(?:\s+\([^()]*\))?(?:\s*,\s*(?:and\s+)?|\s+(?:and|or|to)\s+){NUMBER}(?![.\d]*\d)"
CITATION = re.compile(rf"\bcontract\s+(?P<numbers>{NUMBER}(?:{NEXT})*)", re.IGNORECASE)
RANGE = re.compile(rf"(?P<first>{NUMBER})\s+to\s+(?P<last>{NUMBER})")
HEADING = re.compile(rf"^#+ (?P<number>{NUMBER}) ", re.MULTILINE)


def cited(text: str) -> set[str]:
    """Collect the numbers that a text cites, with those between the ends of a range."""
    unwrapped = re.sub(r"\n\s*(?:#|//)?\s*", " ", text)  # a list of numbers may go on in the next line
    return {number for found in CITATION.finditer(unwrapped) for number in spelled_out(found["numbers"])}


def spelled_out(numbers: str) -> Iterator[str]:
    """Give each number of a list: "1.5, 3.6 to 3.8" is 1.5, 3.6, 3.7 and 3.8."""
    numbers = re.sub(r"\([^()]*\)", "", numbers)  # what a section is cited for
    yield from re.findall(NUMBER, numbers)
    for found in RANGE.finditer(numbers):
        *chapter, first = found["first"].split(".")
        *last_chapter, last = found["last"].split(".")
        assert chapter == last_chapter, f"{found[0]!r} begins in one chapter and ends in another"
        yield from (".".join([*chapter, str(number)]) for number in range(int(first), int(last) + 1))


def headings(document: str) -> list[str]:
    return HEADING.findall(document)


def chapter_of(number: str) -> str:
    return number.partition(".")[0]


def unresolved(citations: dict[str, set[str]], document: str) -> set[str]:
    """Name the citations, by the file that has them, for which the document has no heading."""
    there = set(headings(document))
    return {f"{file}: contract {number}" for file, numbers in citations.items() for number in numbers - there}


def uncited(citations: dict[str, set[str]], document: str) -> set[str]:
    """Name the headings that no citation needs, itself or for one of its sections."""
    needed = {number for numbers in citations.values() for number in numbers}
    needed |= {chapter_of(number) for number in needed}
    return set(headings(document)) - needed


def citations_of_the_repository() -> dict[str, set[str]]:
    return {str(path): cited(read(path)) for path in texts() if path not in NOT_READ}


def test_every_citation_of_the_contract_has_a_section() -> None:
    citations = citations_of_the_repository()
    assert any(citations.values()), "nothing is cited: the search has broken"
    missing = unresolved(citations, read(CONTRACT))
    assert not missing, "\n".join(sorted(missing))


def test_every_section_of_the_contract_is_cited() -> None:
    superfluous = uncited(citations_of_the_repository(), read(CONTRACT))
    assert not superfluous, f"no code and no test cites {sorted(superfluous)}"


def test_no_section_of_the_contract_is_there_twice() -> None:
    numbers = headings(read(CONTRACT))
    assert sorted(numbers) == sorted(set(numbers))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("(contract 3.7)", {"3.7"}),
        ("Contract 3.7.", {"3.7"}),
        ("contract 2, 1.4; dapr `pkg/api`", {"2", "1.4"}),
        ("contract 3.7 and 3.10", {"3.7", "3.10"}),
        ("contract 1.1, 1.2, 1.5 and 1.6 say", {"1.1", "1.2", "1.5", "1.6"}),
        ("contract 1.5, 3.9 to 3.11, 4.1", {"1.5", "3.9", "3.10", "3.11", "4.1"}),
        ("contract 4.1 (statuses, numbers), 1.5 (behaviour of 8)", {"4.1", "1.5"}),
        ("# what it does (contract\n    # 3.12)", {"3.12"}),
        ("contract 3.1,\n3.2", {"3.1", "3.2"}),
        ("the contract of version 3.7; subcontract 4.1; contract tests", set()),
    ],
)
def test_citations_are_found_in_whatever_way_they_are_written(text: str, numbers: set[str]) -> None:
    assert cited(text) == numbers


def test_a_citation_without_a_section_is_named_with_its_file() -> None:
    document = "# 3 The service\n\n## 3.1 Methods\n"
    citations = {"a.py": cited("as in contract 3.1 and 3.99"), "b.py": cited("see contract 3")}
    assert unresolved(citations, document) == {"a.py: contract 3.99"}


def test_a_section_without_a_citation_is_named() -> None:
    document = "# 3 The service\n\n## 3.1 Methods\n\n## 3.2 Messages\n\n# 4 Semantics\n"
    assert uncited({"a.py": cited("contract 3.1")}, document) == {"3.2", "4"}
