"""Bugs that are planted in the engine are found by the invariants that are to, within a stated number of worlds."""

import re

import pytest

from perdure.testing.simulation.choices import Choices

from ..support.paths import ROOT
from .checks.broken import Broken
from .kinds import scenario_of
from .mutants import apps, damage, database, hosting, hosts, instances, lists, poison, rollout, values, workers
from .mutants.catalogue import MUTANTS, USUAL_WORLDS, Mutant, planted
from .programs import INTERRUPT

# Small worlds and large ones in turn: some bugs need a crowd, others are lost in one.
SIZES = (12, 30)
# Each invariant has a mutant that it finds.
INVARIANTS = {f"E{number}" for number in range(1, 20)} | {f"I{number}" for number in (1, 2, 4, 5, 6, 7, 8, 9)}


def first_broken(error: BaseException) -> Broken | None:
    if isinstance(error, Broken):
        return error
    inside = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next(filter(None, map(first_broken, inside)), None)


def found(mutant: Mutant) -> tuple[int, Broken] | None:
    """In which world a planted bug is found, counted from 1, and how; None: within its worlds it is not."""
    with planted(mutant):
        for number in range(mutant.within):
            try:
                choices = Choices(number // 2, rates=mutant.rates)
                named = {"instances_max": SIZES[number % 2], "standings": 3, **mutant.worlds}
                with scenario_of(mutant.kind, choices, **named) as scenario:
                    scenario.run()
            except (Broken, BaseExceptionGroup) as error:
                broken = first_broken(error)
                if broken is None:
                    raise
                return number + 1, broken
            except KeyboardInterrupt as interrupt:
                if str(interrupt) != INTERRUPT:
                    raise  # of whoever runs the tests
                return number + 1, Broken("E16", "the interrupt of an activity has ended the whole world")
    return None


def marked(mutant: Mutant) -> object:
    # A world of several hosts that lose commits takes twenty times as long as one of one host.
    slow = mutant.within > USUAL_WORLDS or mutant.kind == "losing"
    return pytest.param(mutant, id=mutant.name, marks=pytest.mark.slow if slow else ())


@pytest.mark.parametrize("mutant", [marked(each) for each in MUTANTS])
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    find = found(mutant)
    assert find is not None, f"no invariant was broken in {mutant.within} worlds"
    assert find[1].invariant in mutant.found_by, str(find[1])


def test_each_invariant_finds_a_mutant() -> None:
    planted_in = {mutant.plant.__module__ for mutant in MUTANTS}
    known = (apps, damage, database, hosting, hosts, instances, lists, poison, rollout, values, workers)
    assert {module.__name__ for module in known} == planted_in
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


def table() -> str:
    """Which mutant is found in which world, and by what: one line each."""
    lines: list[str] = []
    for mutant in MUTANTS:
        find = found(mutant)
        how = f"{find[0]:>3}  {find[1].invariant:<4}" if find is not None else "  -  -   "
        lines.append(f"{how} of {mutant.within:>2}  {mutant.name}")
    return "\n".join(lines)
