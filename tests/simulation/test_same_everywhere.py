"""The same seed gives the same world, step by step and byte by byte: in another process, with another hash seed, and
after other worlds.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest

from ..support.paths import ROOT
from .kinds import KINDS

# How many worlds of each kind; fewer of those on a database, which take longer.
SEEDS = [20, pytest.param(100, marks=pytest.mark.slow)]
SEEDS_OF: Mapping[str, Callable[[int], int]] = {
    "postgres": lambda seeds: 3,
    "hosts": lambda seeds: 3,
    "losing": lambda seeds: seeds // 4,
    "values": lambda seeds: seeds // 4,
    "shared": lambda seeds: 2,
}

RUN = f"import sys; sys.path.append({str(ROOT)!r}); from tests.simulation.digests import main; main()"


def begin(direction: str, kinds: Mapping[str, int], hash_seed: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUN, direction, *(f"{kind}={seeds}" for kind, seeds in kinds.items())],
        cwd="/",
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def digests(process: "subprocess.Popen[str]") -> list[str]:
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-4_000:]
    return sorted(printed.splitlines())


@pytest.mark.parametrize("seeds", SEEDS)
def test_worlds_are_the_same_in_two_processes(seeds: int) -> None:
    # A crowd is a plain world with more of the same.
    kinds = {kind: SEEDS_OF.get(kind, int)(seeds) for kind in KINDS if kind != "crowd"}
    with begin("forwards", kinds, "1") as forwards, begin("backwards", kinds, "2") as backwards:
        one, other = digests(forwards), digests(backwards)
    assert len(one) == sum(kinds.values())
    assert one == other
