"""Bugs that are planted in the engine are found by the expected invariants, within a stated number of worlds."""

import re
from operator import attrgetter

import pytest

from ..support.paths import ROOT
from .kinds import OF_HOSTS
from .mutants.catalogue import MUTANTS, USUAL_WORLDS, Mutant, smallest_worlds
from .mutants.finding import Find, found
from .mutants.smallest import KNOWN

name_of = attrgetter("name")
# Each invariant has a mutant that it finds.
INVARIANTS = {f"E{number}" for number in range(1, 20)} | {f"I{number}" for number in (1, 2, 4, 5, 6, 7, 8, 9)}


def is_dear(mutant: Mutant) -> bool:
    """Whether it is found by the slow tests alone: a world of several hosts takes twenty times as long as another."""
    return mutant.kind == "losing" or (mutant.kind in OF_HOSTS and mutant.within > USUAL_WORLDS)


def require_found(mutant: Mutant, find: Find | None) -> None:
    assert find is not None, f"no invariant was broken in {mutant.within} worlds"
    assert find.broken.invariant in mutant.found_by, str(find.broken)


@pytest.mark.parametrize("mutant", [each for each in MUTANTS if not is_dear(each)], ids=name_of)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    # In the smallest world that has shown it. That may be another one by now, as the engine changes.
    smallest = smallest_worlds().get(mutant.name)
    find = found(mutant, (smallest,)) if smallest is not None else None
    if find is None or find.broken.invariant not in mutant.found_by:
        find = found(mutant, mutant.worlds)
    require_found(mutant, find)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_a_planted_bug_is_found_within_its_number_of_worlds(mutant: Mutant) -> None:
    require_found(mutant, found(mutant, mutant.worlds))


def test_the_smallest_worlds_are_those_of_mutants_and_within_their_number() -> None:
    within = {mutant.name: mutant.within for mutant in MUTANTS}
    for name, world in smallest_worlds().items():
        assert 1 <= world <= within[name], name


def test_each_invariant_finds_a_mutant() -> None:
    planted_in = {mutant.plant.__module__ for mutant in MUTANTS}
    assert {module.__name__ for module in KNOWN} == planted_in
    assert {invariant for mutant in MUTANTS for invariant in mutant.found_by} == INVARIANTS


def test_each_invariant_of_one_host_has_a_mutant_that_no_other_may_find() -> None:
    alone = {next(iter(mutant.found_by)) for mutant in MUTANTS if len(mutant.found_by) == 1}
    assert {each for each in INVARIANTS if each.startswith("E")} <= alone


def test_the_page_of_planted_bugs_names_them_as_they_are() -> None:
    page = re.sub(r"\n  +", " ", (ROOT / "docs/design/planted-bugs.md").read_text())  # entries of lists, each on a line
    named = [(name, int(within)) for name, within in re.findall(r"\*([^*]+)\* \((\d+)\)", page)]
    assert set(named) <= {(mutant.name, mutant.within) for mutant in MUTANTS}
    rows = dict(re.findall(r"^\* ([EI]\d+): (.*)$", page, re.MULTILINE))
    assert rows.keys() == INVARIANTS
    for invariant, bugs in rows.items():
        for name, _ in re.findall(r"\*([^*]+)\* \((\d+)\)", bugs):
            finders = {frozenset(mutant.found_by) for mutant in MUTANTS if mutant.name == name}
            assert any(invariant in each for each in finders), name
