"""The same seed gives the same world, step by step and byte by byte: in another process, with another hash seed, and
after other worlds.
"""

import os
import subprocess
import sys

import pytest

from ..support.paths import ROOT
from .kinds import KINDS

RUN = f"import sys; sys.path.append({str(ROOT)!r}); from tests.simulation.digests import main; main()"


def digests(first: int, end: int, kind: str, hash_seed: str) -> list[str]:
    found = subprocess.run(
        [sys.executable, "-c", RUN, str(first), str(end), kind],
        cwd="/",
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-4_000:]
    return sorted(found.stdout.splitlines())


@pytest.mark.parametrize(
    ("kind", "seeds"),
    [
        ("plain", 20),
        ("sqlite", 10),
        *(pytest.param(kind, 100, marks=pytest.mark.slow) for kind in KINDS),
    ],
)
def test_worlds_are_the_same_in_two_processes(kind: str, seeds: int) -> None:
    forwards, backwards = digests(0, seeds, kind, "1"), digests(seeds, 0, kind, "2")
    assert len(forwards) == seeds
    assert forwards == backwards
