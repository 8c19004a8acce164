"""The same seed gives the same world, step by step and byte by byte: in another process, with another hash seed, and
after other worlds.
"""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from ..support.paths import ROOT
from .kinds import KINDS

# How many worlds of each kind. A world of several hosts takes five times as long as others.
SEEDS = [10, pytest.param(100, marks=pytest.mark.slow)]
OF_HOSTS = ("hosts", "losing", "shared", "poison", "rolling")
SEEDS_OF_HOSTS = {10: 3, 100: 100}
SEEDS_PLANTED = 30
PATIENCE_S = 1_200.0

RUN = f"import sys; sys.path.append({str(ROOT)!r}); from tests.simulation.digests import main; main()"


def begin(hash_seed: str, direction: str, kinds: Mapping[str, int], *flags: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUN, direction, *flags, *(f"{kind}={seeds}" for kind, seeds in kinds.items())],
        cwd="/",
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def digests(process: "subprocess.Popen[str]") -> list[str]:
    printed, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors[-4_000:]
    return sorted(printed.splitlines())


@pytest.mark.parametrize("seeds", SEEDS)
def test_worlds_are_the_same_in_two_processes(seeds: int) -> None:
    # A crowd is a plain world with more of the same.
    kinds = {kind: SEEDS_OF_HOSTS[seeds] if kind in OF_HOSTS else seeds for kind in KINDS if kind != "crowd"}
    with begin("1", "forwards", kinds) as forwards, begin("2", "backwards", kinds) as backwards:
        one, other = digests(forwards), digests(backwards)
    assert len(one) == sum(kinds.values())
    assert one == other


def test_one_order_of_a_set_makes_other_worlds() -> None:
    # Given an engine that goes by the order of a set of texts as it recovers,
    kinds = {"plain": SEEDS_PLANTED}
    with begin("1", "forwards", kinds, "planted") as one, begin("2", "forwards", kinds, "planted") as other:
        # then some worlds of two processes differ, small as they are.
        assert digests(one) != digests(other)
