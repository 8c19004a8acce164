"""The same seed gives the same world, step by step and byte by byte: in another process, with another hash seed, and
after other worlds.
"""

import os
import subprocess
import sys

import pytest

from ..support.paths import ROOT
from .kinds import KINDS

# How many worlds of a kind. Mixed ones have the parts of all kinds.
SEEDS = {kind: 100 if kind == "mixed" else 8 for kind in KINDS}
SEEDS_SLOW = 100

RUN = f"import sys; sys.path.append({str(ROOT)!r}); from tests.simulation.digests import main; main()"


def begin(first: int, end: int, kind: str, hash_seed: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(first), str(end), kind],
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


@pytest.mark.parametrize(
    ("kind", "seeds"),
    [*SEEDS.items(), *(pytest.param(kind, SEEDS_SLOW, marks=pytest.mark.slow) for kind in KINDS)],
)
def test_worlds_are_the_same_in_two_processes(kind: str, seeds: int) -> None:
    with begin(0, seeds, kind, "1") as forwards, begin(seeds, 0, kind, "2") as backwards:
        one, other = digests(forwards), digests(backwards)
    assert len(one) == seeds
    assert one == other
