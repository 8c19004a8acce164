"""The layers of the house: imports point down only, and the pure modules look at nothing but their arguments.

The rules are read off the source, so that an import inside a function or for
types only counts like any other.
"""

import ast
import re
from collections.abc import Mapping, Set
from pathlib import Path

import pytest

from ..support.paths import ROOT
from ..support.source import LAYERS, entry_of, files_of, imported_by, imports_of, layer_of, modules, parsed

# Layer -> the layers it may import, itself apart. `__init__` is the public face, `__main__` the command.
MAY_IMPORT = {
    "journal": set[str](),
    "actors": {"journal"},
    "runtime": {"actors", "journal"},
    "testing": {"client", "embedding", "runtime", "actors"},
    "http": {"api", "runtime", "actors", "journal"},
    "rpc": {"api", "runtime", "actors", "journal"},
    "client": {"api", "runtime", "actors"},
    "cli": {"client", "daemon", "api", "runtime", "actors"},
    "benchmarks": {
        "client",
        "daemon",
        "embedding",
        "http",
        "rpc",
        "telemetry",
        "api",
        "testing",
        "runtime",
        "actors",
        "journal",
    },
    "api": {"runtime", "actors"},
    "telemetry": {"api", "runtime", "actors"},
    "daemon": {"http", "rpc", "telemetry", "api", "runtime", "actors", "journal"},
    "embedding": {"client", "daemon", "http", "runtime", "actors"},
    "__init__": {"client", "daemon", "embedding", "testing", "runtime", "actors"},
    "__main__": {"cli"},
}

# Modules that decide. The same arguments give the same answer, whenever and wherever they are called.
PURE = {
    "actors/hosting/activation.py",
    "actors/address.py",
    "actors/cluster/leases/judging.py",
    "actors/cluster/leases/plan.py",
    "actors/cluster/leases/shard_table.py",
    "actors/cluster/placement.py",
    "actors/hosting/quarantine.py",
    "actors/hosting/unreadable.py",
    "actors/reminders/window.py",
    "actors/store/tables/asking.py",
    "actors/store/tables/auditing.py",
    "actors/store/tables/batch.py",
    "actors/store/tables/checksums.py",
    "actors/store/tables/expected.py",
    "actors/store/tables/facets.py",
    "actors/store/tables/kinds.py",
    "actors/store/tables/paging.py",
    "actors/store/tables/query.py",
    "actors/store/tables/reading.py",
    "actors/turn.py",
    "runtime/history/attribution.py",
    "runtime/history/audit.py",
    "runtime/history/event.py",
    "runtime/execution/drive.py",
    "runtime/execution/pending.py",
    "runtime/history/facets.py",
    "runtime/history/failure.py",
    "runtime/history/row.py",
    "runtime/history/instance_state.py",
    "runtime/history/open_waits.py",
    "runtime/history/open_work.py",
    "runtime/history/record.py",
    "runtime/execution/replay.py",
    "runtime/operations/reading/item.py",
    "runtime/operations/reading/open_entries.py",
    "runtime/operations/reading/waiting.py",
    "runtime/authoring/retry.py",
    "runtime/history/status.py",
    "runtime/authoring/task.py",
    "runtime/instance/actor.py",
    "runtime/instance/condition.py",
    "runtime/instance/effects.py",
    "runtime/instance/ending.py",
    "runtime/instance/message.py",
    "runtime/instance/native.py",
    "runtime/instance/receiving.py",
    "runtime/instance/remote.py",
    "runtime/instance/sheet.py",
    "runtime/instance/state.py",
    "runtime/instance/requests/steering.py",
    "runtime/instance/requests/repairing.py",
    "runtime/instance/turn.py",
    "runtime/instance/remote_failures.py",
    "runtime/history/attempts.py",
    "journal/line.py",
}

# What looks at the world: clocks, chance, files, sockets, threads, processes, the loop, the environment.
THE_WORLD = {
    *(
        "aiosqlite",
        "anyio",
        "asyncio",
        "concurrent",
        "filelock",
        "httpx",
        "httpx2",
        "io",
        "multiprocessing",
        "os",
        "pathlib",
    ),
    *("secrets", "shutil", "signal", "socket", "sqlite3", "starlette", "subprocess", "sys", "tempfile", "threading"),
    *("time", "trio", "urllib", "uvicorn"),
}
# Of these modules the classes are harmless and the module's own functions are not.
THE_WORLD_IN_PART = {
    "datetime": {"now", "utcnow", "today"},
    "random": {"random", "randint", "randrange", "choice", "choices", "shuffle", "sample", "uniform", "seed"},
    "uuid": {"uuid1", "uuid4"},
}


def test_imports_point_down() -> None:
    wrong = [
        f"{module}:{line}: {layer_of(module)} may not import {target}"
        for module in modules()
        for line, source, name in imports_of(module)
        if source.split(".")[0] == "perdure"
        and (target := [*source.split("."), name][1]) not in {layer_of(module), *MAY_IMPORT[layer_of(module)]}
    ]
    assert not wrong


def test_no_store_imports_another() -> None:
    # What two have in common is in `actors/store/tables/`, or beside the contract.
    stores = {"postgres", "sqlite", "memory.py"}
    for module in modules():
        if (own := entry_of(module, Path("actors/store"))) in stores:
            others = {entry_of(file, Path("actors/store")) for file in imported_by(module)} & (stores - {own})
            assert not others, f"{module} imports {others}"


def test_imports_inside_the_package_are_relative() -> None:
    wrong = [
        f"{module}: {name}"
        for module in modules()
        for node in ast.walk(parsed(module))
        for name in named_in(node)
        if name.split(".")[0] == "perdure"
    ]
    assert not wrong


@pytest.mark.parametrize("module", sorted(PURE))
def test_the_pure_modules_import_nothing_that_waits_or_looks_at_the_world(module: str) -> None:
    for line, source, name in imports_of(Path(module)):
        top = source.split(".")[0]
        assert top not in THE_WORLD, f"{module}:{line} imports {source}"
        assert name not in THE_WORLD_IN_PART.get(top, set()), f"{module}:{line} imports {source}.{name}"


@pytest.mark.parametrize("module", sorted(PURE))
def test_the_pure_modules_ask_neither_the_clock_nor_chance(module: str) -> None:
    for node in ast.walk(parsed(Path(module))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            forbidden = THE_WORLD_IN_PART.get(node.value.id, set())
            assert node.attr not in forbidden, f"{module}:{node.lineno} calls {node.value.id}.{node.attr}"
        assert not isinstance(node, (ast.Await, ast.AsyncWith, ast.AsyncFor)) or module in DRIVEN_BY_HAND, (
            f"{module}:{node.lineno} waits"
        )


# These hold coroutines for workflow code, which `runtime/execution/drive.py` drives by hand; no loop is involved.
DRIVEN_BY_HAND = {"runtime/authoring/task.py", "runtime/execution/drive.py"}


@pytest.mark.parametrize("module", sorted(PURE))
def test_what_the_pure_modules_import_of_ours_does_not_look_at_the_world_either(module: str) -> None:
    todo, seen = [Path(module)], {Path(module)}
    while todo:
        for line, source, name in imports_of(current := todo.pop()):
            assert source.split(".")[0] not in THE_WORLD, f"{module} comes to {current}:{line}, which imports {source}"
            found = {path for path in files_of(source, name) if str(path) not in NAMED_ONLY} - seen
            todo += found
            seen |= found


# A slot that callers of an actor wait on. Turns carry it about and fill it; they never wait.
NAMED_ONLY = {"actors/waiting/reply.py"}


def test_no_modules_import_one_another_in_a_circle() -> None:
    arrows = {str(module): {str(file) for file in imported_by(module)} for module in modules()}
    assert circles(arrows) == set()


def test_no_entries_of_a_folder_import_one_another_in_a_circle() -> None:
    found = {folder: circles(arrows_in(folder)) for folder in {module.parent for module in modules()}}
    assert {folder: circle for folder, circle in found.items() if circle} == {}


def arrows_in(folder: Path) -> dict[str, set[str]]:
    """Which entry of a folder imports which: an entry is a module of it, or a folder in it with all that it holds."""
    arrows: dict[str, set[str]] = {}
    for module in modules():
        if (entry := entry_of(module, folder)) is not None:
            found = {entry_of(file, folder) for file in imported_by(module)}
            arrows.setdefault(entry, set()).update(other for other in found if other not in (None, entry))
    return arrows


def test_a_circle_is_found_wherever_it_is_entered() -> None:
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set[str](), "e": {"e"}, "f": {"a"}}
    assert circles(arrows) == {frozenset({"b", "c"}), frozenset({"e"})}


def circles(arrows: Mapping[str, Set[str]]) -> set[frozenset[str]]:
    """The largest sets of nodes of which each reaches each."""
    reached = {node: reach(node, arrows) for node in arrows}
    return {
        frozenset(other for other in reached[node] if node in reached.get(other, ()))
        for node in arrows
        if node in reached[node]
    }


def reach(start: str, arrows: Mapping[str, Set[str]]) -> set[str]:
    """All nodes that arrows lead to from one; itself only if it lies on a circle."""
    todo, seen = [start], set[str]()
    while todo:
        found = set(arrows.get(todo.pop(), ())) - seen
        seen |= found
        todo += found
    return seen


def test_actors_and_workflows_wait_through_anyio_only() -> None:
    asking = {
        str(module)
        for module in modules()
        if layer_of(module) in ("actors", "runtime")
        for _, source, _ in imports_of(module)
        if source.split(".")[0] in ("asyncio", "aiosqlite", "trio", "sniffio")
    }
    assert asking == ASYNCIO_ONLY


ASYNCIO_ONLY = {
    "actors/on_database.py",  # chooses among the transports below
    "actors/cluster/inbound.py",  # transports; only daemons have several hosts, and they run on asyncio
    "actors/cluster/transport/addresses.py",
    "actors/cluster/transport/memory.py",
    "actors/cluster/transport/tls.py",
    "actors/cluster/transport/transport.py",
    "actors/cluster/transport/unix.py",
    "actors/cluster/wire.py",
    "actors/store/sqlite/connection.py",  # aiosqlite is; tests on trio use the store in memory
    "actors/store/postgres/driver.py",  # asyncpg's
    "actors/waiting/cancellation.py",  # asyncio's own requests to cancel a task; trio has none
    "actors/waiting/own_task.py",  # a task that outlives its maker's; on trio an engine is entered as a block
    "actors/waiting/taskless.py",  # asyncio's own way to run code outside of a task; trio has none
    "actors/waiting/waiter.py",  # a bare future where there is asyncio, an event of anyio's elsewhere
}


def test_the_layers_of_the_rules_are_those_of_the_tree() -> None:
    packages = {path.parent.relative_to(ROOT).parts[0] for path in ROOT.glob("*/*.py")} - {"tests", "examples", "docs"}
    assert packages == {layer for layer in MAY_IMPORT if not layer.startswith("__")} == set(LAYERS)


def test_the_architecture_has_the_layers_as_they_are() -> None:
    table = re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|$", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    drawn = {
        layer: everything_but(what) if "everything but" in what else set(re.findall(r"`(\w+)`", what))
        for layers, what in table
        for layer in re.findall(r"`(\w+)`", layers)
        if layer in MAY_IMPORT
    }
    assert drawn == {layer: what for layer, what in MAY_IMPORT.items() if layer != "__main__"}


def everything_but(what: str) -> set[str]:
    (left_out,) = re.findall(r"`(\w+)`", what)
    return {layer for layer in MAY_IMPORT if not layer.startswith("__")} - {left_out, "benchmarks"}


def test_nothing_on_the_wire_between_hosts_makes_code_of_bytes() -> None:
    makers = {"pickle", "cPickle", "marshal", "shelve", "copyreg", "importlib", "multiprocessing"}
    wire = [module for module in modules() if module.is_relative_to("actors/cluster")]
    assert len(wire) > 10
    for module in (*wire, Path("runtime/words.py")):
        tree = parsed(module)
        found = {name.split(".")[0] for node in ast.walk(tree) for name in named_in(node)}
        assert not found & makers, module
        called = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"eval", "exec", "compile", "__import__"}, module


def named_in(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None else []
