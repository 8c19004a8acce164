"""What a run depends on comes through a seam: time, chance and threads are asked for in the places listed here only.

A simulation puts its own clock and instruments in, and the same seed then gives the same run. One module more that asks
the machine itself, and it does not.
"""

import ast
from collections.abc import Iterator

import pytest

from ..support.source import layer_of, modules, parsed

# Modules that ask the machine, and why a run does not come to depend on it.
SEAMS = {
    "actors/clock.py": "the clock of the machine",
    "actors/instruments.py": "the instruments of the machine",
}
OUTSIDE = {
    "actors/hosting/flight_record.py": "a file beside the store; engines without a file have none",
    "actors/hosting/host.py": "the number of the thread, compared and never ordered",
    "actors/waiting/own_task.py": "the number of the thread, compared and never ordered",
    "actors/plain_file.py": "how long a pipe is waited for, before anything runs",
    "actors/store/presence/heart.py": "the thread of a store on a server; in memory it is a task",
    "actors/store/sqlite/connection.py": "the thread of the store",
    "actors/store/sqlite/wal/checkpoints.py": "the thread of checkpoints; connections that are given have none",
    "actors/store/sqlite/wal/shared_index.py": "locks between the threads of one file; alone it waits for none",
    "actors/store/sqlite/in_use.py": "the pause of a command that reads a file beside its host",
    "runtime/activities/process_pool.py": "other processes",
    "runtime/activities/worker_process.py": "another process",
    "runtime/activities/workshop.py": "threads of plain functions",
    "runtime/authoring/context.py": "seeded by the instance: the same in each replay",
    "runtime/authoring/retry.py": "seeded by the instance: the same in each replay",
}

MODULES = {"time", "secrets", "random", "threading", "concurrent"}
FUNCTIONS = {("os", "urandom"), ("uuid", "uuid1"), ("uuid", "uuid4")}
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}


def asked(tree: ast.AST) -> Iterator[str]:
    """What a module takes of the machine's time, chance and threads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            top = node.module.split(".")[0]
            yield from (
                f"{node.module}.{alias.name}"
                for alias in node.names
                if top in MODULES or (top, alias.name) in FUNCTIONS
            )
        elif isinstance(node, ast.Attribute):
            if node.attr in ("to_thread", "from_thread", "to_process"):
                yield node.attr
            elif isinstance(node.value, ast.Name) and (node.value.id, node.attr) in FUNCTIONS | CLOCKS:
                yield f"{node.value.id}.{node.attr}"


LAYERED = [module for module in modules() if layer_of(module) in ("actors", "runtime")]


def test_time_chance_and_threads_come_through_a_seam() -> None:
    found = {str(module): sorted(set(asked(parsed(module)))) for module in LAYERED}
    leaks = {module: taken for module, taken in found.items() if taken and module not in SEAMS | OUTSIDE}
    assert leaks == {}, "these take time, chance or threads of the machine; take actors/instruments.py or a clock"


def test_each_module_of_the_lists_asks_the_machine_for_something() -> None:
    found = {str(module) for module in LAYERED if any(asked(parsed(module)))}
    assert set(SEAMS | OUTSIDE) - found == set(), "these ask the machine for nothing any more; take them off the list"


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from time import perf_counter",
        "import secrets",
        "from random import random",
        "import os\nos.urandom(4)",
        "from os import urandom",
        "from uuid import uuid4",
        "import uuid\nuuid.uuid1()",
        "from datetime import datetime\ndatetime.now()",
        "import threading",
        "import concurrent.futures",
        "import anyio\nanyio.to_thread.run_sync(print)",
    ],
)
def test_a_leak_is_found(source: str) -> None:
    assert list(asked(ast.parse(source)))


@pytest.mark.parametrize(
    "source", ["from datetime import timedelta", "from uuid import uuid5", "import os", "from ..clock import Clock"]
)
def test_what_is_no_leak_passes(source: str) -> None:
    assert not list(asked(ast.parse(source)))
