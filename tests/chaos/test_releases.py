"""Two releases side by side; the earlier one is a commit from before the tables changed."""

import asyncio
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from ..support.paths import ROOT
from ..support.postgres import PostgresServer
from ..whole.chaos.decoding import begin_decoding
from ..whole.chaos.fleet import Setup
from ..whole.chaos.storm import Bed, Sky
from .story import HOSTS, SECONDS, judged, run

SCHEMA = "actors/store/postgres/schema.py"


def git(*arguments: str) -> bytes:
    """The output of git; empty if there is no git, or no history."""
    try:
        return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return b""


def earlier_commit() -> str:
    """The last commit whose tables have an older version; empty if it is unknown."""
    changed = git("log", "-1", "--format=%H", "-G^SCHEMA_VERSION = ", "--", SCHEMA).decode().strip()
    before = git("rev-parse", "--verify", "--quiet", f"{changed}~1").decode().strip() if changed else ""
    return before if before and git("show", f"{before}:{SCHEMA}") else ""


def earlier_release(commit: str, folder: Path) -> dict[str, str]:
    """Put an earlier release into a folder, and return the environment of a process that runs it."""
    with tarfile.open(fileobj=BytesIO(git("archive", "--prefix=perdure/", commit))) as tree:
        tree.extractall(folder, filter="data")
    return {"PYTHONPATH": str(folder)}


def test_hosts_of_the_release_before_and_of_this_one_share_the_work_and_each_is_replaced_without_a_request_lost(
    server: PostgresServer, tmp_path: Path
) -> None:
    commit = earlier_commit()
    if not commit:
        pytest.skip("there is no history of this repository here")
    earlier = earlier_release(commit, tmp_path / "earlier")
    release = dict(earlier)  # the environment of the hosts that are started next
    begin_decoding(server)

    def versions() -> list[str]:
        rows = server.sql("SELECT name, value FROM chaos.meta WHERE name = 'schema'")
        return [rows.partition("|")[2], server.sql("SELECT count(*) FROM chaos.hosts")]

    async def storm(sky: Sky) -> None:
        before = await asyncio.to_thread(versions)
        release.clear()
        for index in range(HOSTS):
            await sky.fleet.restart(index)
            # For this time the two releases run side by side.
            await asyncio.sleep(SECONDS / HOSTS)
        after = await asyncio.to_thread(versions)
        assert int(before[0]) < int(after[0]), "the earlier release made the tables of this one"
        assert after[1] == str(HOSTS)

    url = server.url(schema="chaos")
    bed = Bed(
        server=server,
        hosts=HOSTS,
        setup=lambda index: Setup(data=url, options=("--drain", "2"), env=dict(release)),
        log=server,
    )
    verdict = run(lambda: judged(bed, tmp_path, storm))
    print(f"the earlier release: {commit[:8]}")
    assert verdict.refused == 0, verdict.refusals
    assert verdict.killed_by_hosts == 0
