"""The release after this one: a copy of the package in which each version number is higher by one.

The rule: it does what a release may do while hosts of the one before live: it adds to the tables, and knows a newer
format of the store and a newer wire, beside those of this one.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import perdure
from perdure.actors.cluster.protocol import WIRE_MAX, WIRE_MIN
from perdure.actors.store.cluster import FORMAT_MAX
from perdure.actors.store.postgres.schema import SCHEMA_VERSION

STEP = f"""
STEPS = {{
    **STEPS,
    {SCHEMA_VERSION}: Migration(
        statements=("ALTER TABLE actors ADD COLUMN later int",),
        indexes=("CREATE INDEX CONCURRENTLY IF NOT EXISTS actors_later ON actors (updated_us, key)",),
    ),
}}
"""
# The file of a number -> its line in this release, and its line in the next one.
NEXT: Mapping[str, tuple[str, str]] = {
    "actors/store/cluster.py": (f"\nFORMAT_MAX = {FORMAT_MAX}\n", f"\nFORMAT_MAX = {FORMAT_MAX + 1}\n"),
    "actors/cluster/protocol.py": (
        f"WIRE_MIN, WIRE_MAX = {WIRE_MIN}, {WIRE_MAX} ",
        f"WIRE_MIN, WIRE_MAX = {WIRE_MIN}, {WIRE_MAX + 1} ",
    ),
    "actors/store/postgres/schema.py": (
        f"SCHEMA_VERSION = {SCHEMA_VERSION}\n",
        f"SCHEMA_VERSION = {SCHEMA_VERSION + 1}\n",
    ),
}


def next_release(folder: Path) -> dict[str, str]:
    """Make the next release, and return the environment of a process that runs it."""
    assert perdure.__file__ is not None
    package = folder / "next" / "perdure"
    shutil.copytree(Path(perdure.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (now, then) in NEXT.items():
        file = package / name
        text = file.read_text()
        assert text.count(now) == 1, (name, now)
        file.write_text(text.replace(now, then))
    schema = package / "actors/store/postgres/schema.py"
    text = schema.read_text()
    before = "\nREAD_META = "
    assert text.count(before) == 1
    schema.write_text(text.replace(before, f"{STEP}{before}"))
    return {"PYTHONPATH": str(package.parent)}
