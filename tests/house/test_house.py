"""The rules of the house that no tool knows: what lies where, and that named files exist."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from perdure.cli.main import COMMANDS
from perdure.cli.run_flags import RUN_OPTIONS

from ..support.docs.blocks import blocks, pages
from ..support.paths import ROOT
from ..support.source import LAYERS, files, modules, read, texts

# Modules without a test file of their own, and where they are tested instead.
TESTED_ELSEWHERE = {
    "testing/__init__.py": "names; tests/house/test_exports.py asks for them",
    "testing/stories/trial/session.py": "a record; tests/testing/test_plugin.py has pytest make it",
    "testing/stories/decorator.py": "tests/testing/test_simulated.py has tests that it makes",
    "testing/stories/code/revision.py": "tests/testing/test_revisions.py imports old code",
    "actors/cluster/outbound.py": "one end of a conversation; test_peers.py and test_moving_hosts.py have both",
    "actors/cluster/inbound.py": "the other end",
    "actors/cluster/side.py": "a promise; tests/actors/cluster/test_moving_hosts.py has hosts that keep it",
    "actors/cluster/transport/transport.py": "a promise; the transports beside it keep it",
    "actors/hosting/border.py": "hands on; tests/actors/cluster/test_peers.py has hosts on both sides of it",
    "actors/cluster/keeper.py": "promises; tests/actors/hosting/shards/test_hosted.py has hosts that keep them",
    "actors/cluster/leases/seen.py": "records; tests/actors/cluster/test_leased.py asks for them",
    "actors/cluster/leases/shared.py": "tests/whole/test_shared_store.py has engines that share a store",
    "actors/cluster/leases/work.py": "tests/actors/cluster/test_leased.py has hosts that do it",
    "actors/store/cluster.py": "a promise; tests/actors/store/test_cluster_conformance.py holds every store to it",
    "actors/store/presence/figures.py": "records; tests/telemetry/test_cluster_metrics.py shows them",
    "actors/store/presence/beats.py": "records; tests/actors/store/presence/test_heart.py has a heart beat",
    "actors/store/postgres/cluster_store.py": "tests/actors/store/test_cluster_conformance.py has it on each release",
    "actors/store/contract.py": "a promise; the conformance suite holds every store to it",
    "runtime/instance/surroundings.py": "a record",
    "testing/simulation/machines/database/statements/committing.py": "test_differential.py in the folder above",
    "testing/simulation/machines/database/statements/hosts.py": "test_differential.py in the folder above",
    "testing/simulation/machines/database/statements/listing.py": "tests/actors/store/test_listing.py",
    "testing/simulation/machines/database/statements/making.py": "test_differential.py in the folder above",
    "testing/simulation/machines/database/statements/reading.py": "test_differential.py in the folder above",
    "testing/simulation/machines/database/statements/registry.py": "test_registry.py in the folder above",
    "testing/simulation/life.py": "a record and promises; tests/testing/simulation/test_world.py has lives",
    "runtime/instance/state.py": "tests/runtime/instance/test_actor.py has the actor whose memory it is",
    "client/blocking_calls.py": "tests/client/test_blocking.py has threads, forks and early ends",
    "client/blocking_instances.py": "made; tests/client/test_blocking_twin.py makes it again",
    "api/control.py": "a protocol, fulfilled by the daemon",
    "runtime/activities/limits.py": "a protocol, fulfilled by the settings",
    "runtime/workers/limits.py": "a record; tests/runtime/workers/test_dispatcher.py tests what it limits",
    "runtime/history/timed_event.py": "records",
    "runtime/workers/items.py": "records",
    "runtime/workers/hosts/gate.py": "one end of a conversation; test_sharing.py beside it has hosts with both",
    "runtime/activities/worker_protocol.py": "the words of both ends; test_worker_process.py and test_process_pool.py",
    "runtime/history/instance_state.py": "a record",
    "runtime/operations/bulk/instances.py": "tests/runtime/operations/bulk/test_bulk.py acts on real ones",
    "runtime/operations/reading/item.py": "a record; tests/runtime/operations/reading/test_listing.py lists them",
    "runtime/operations/reading/under_way.py": "tests/whole/test_several_hosts.py has work on several hosts",
    "runtime/operations/reading/views.py": "holds the readers, each of which has its tests",
    "runtime/operations/steering/id_taken.py": "test_rerunning.py and test_transfer.py beside it",
    "runtime/operations/purging.py": "tests/runtime/operations/test_facade.py and steering/test_steering.py purge",
    "api/management/actions.py": "records; tests/whole/test_management_api.py sends them",
    "api/management/history.py": "records; tests/whole/test_management_api.py reads them",
    "api/management/instances.py": "records; tests/api/management/test_shapes.py makes them",
    "api/management/session.py": "a record; tests/whole/test_management_api.py sends it",
    "http/management/routes/actions.py": "handlers over an engine; tests/whole/test_management_api.py asks a daemon",
    "http/management/app.py": "puts routes together; tests/whole/test_management_api.py asks a daemon",
    "http/management/call.py": "tests/http/management/test_resource.py makes the calls",
    "http/management/description.py": "tests/http/management/test_openapi.py has the document",
    "http/management/endpoint.py": "records",
    "http/management/routes/histories.py": "handlers over an engine; tests/whole/test_management_api.py asks a daemon",
    "http/management/routes/instances.py": "handlers over an engine; tests/whole/test_management_api.py asks a daemon",
    "http/management/routes/overview.py": "handlers over an engine; tests/whole/test_management_api.py asks a daemon",
    "runtime/operations/overview/reports.py": "tests/runtime/operations/overview/test_workflows.py reads them",
    "api/management/overview.py": "records; tests/whole/test_management_api.py reads them",
    "http/management/routes/starting.py": "handlers over an engine; tests/whole/test_management_api.py asks a daemon",
    "http/management/routes/transfer.py": "handlers over an engine; tests/whole/test_management_api.py asks a daemon",
    "runtime/history/attribution.py": "a record; tests/runtime/history/test_audit.py has rows of it",
}


def test_every_module_has_a_test_file() -> None:
    missing = [module for module in in_layers() if not has_test_file(module) and module not in TESTED_ELSEWHERE]
    assert not missing, "\n".join(missing)


def test_the_list_of_modules_tested_elsewhere_is_up_to_date() -> None:
    assert set(TESTED_ELSEWHERE) <= set(in_layers())
    assert not [module for module in TESTED_ELSEWHERE if has_test_file(module)], "these have a test file by now"


def in_layers() -> list[str]:
    return [str(module) for module in modules() if module.parts[0] in LAYERS]


def has_test_file(module: str) -> bool:
    return (ROOT / "tests" / module).with_name(f"test_{Path(module).name}").is_file()


def test_only_the_root_and_the_users_tests_have_an_init() -> None:
    # A folder `http` with one would shadow the standard library's for a Python that starts here.
    # `testing` has names of its own for users, and no other package has that name on a path.
    assert (ROOT / "__init__.py").is_file()
    found = [path for layer in (*LAYERS, "tests", "examples") for path in (ROOT / layer).rglob("__init__.py")]
    assert found == [ROOT / "testing" / "__init__.py"]


@pytest.mark.parametrize("arguments", [["-c", "import http.client"], ["-m", "pip", "--version"]])
def test_the_standard_librarys_http_is_not_shadowed_in_the_root(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)


def test_every_folder_with_modules_is_packed() -> None:
    packed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {module.parent for module in modules()}
    assert {"perdure", *(".".join(("perdure", *folder.parts)) for folder in folders)} == set(packed)


def test_every_example_is_run_by_a_test() -> None:
    tests = (ROOT / "tests/whole/test_examples.py").read_text()
    for example in (ROOT / "examples").glob("*.py"):
        assert f'"{example.name}"' in tests, f"{example.name} is not in tests/whole/test_examples.py"


def test_files_that_are_named_exist() -> None:
    # In prose and comments, a path from the root; `actors/store/*` and `docs/design/` are paths too.
    folders = "|".join((*LAYERS, "docs", "examples", "tests"))
    path = re.compile(rf"(?<![\w/.:-])(?:{folders})/[\w./*%-]*[\w*/]")
    missing = {f"{text}: {named}" for text in texts() for named in path.findall(read(text)) if not exists(named)}
    assert not missing, "\n".join(sorted(missing))


def test_files_that_are_named_without_their_folder_exist() -> None:
    # In prose and comments, between backticks: the end of a path.
    name = re.compile(r"(?<=`)(?:\w+/)*\w+\.(?:py|md|toml|proto)(?=`)")
    ends = {"/".join(path.parts[start:]) for path in files() for start in range(len(path.parts))}
    named = {(str(text), found) for text in texts() for found in name.findall(read(text))}
    of_pages = {block.mark.removeprefix("file: ") for page in pages() for block in blocks(page)}
    missing = {f"{text}: {found}" for text, found in named if found not in ends | of_pages | set(NOT_OURS)}
    assert not missing, "\n".join(sorted(missing))
    assert not set(NOT_OURS) - {found for _, found in named}, "nothing names these any more"


# Files that are named and are not of this repository.
NOT_OURS = {
    "FILE.py": "stands for the file of an app",
    "shop.py": "an app of the tests",
    "test_orchestration_e2e.py": "of dapr/python-sdk",
}


def exists(named: str) -> bool:
    pattern = named.replace("%", "*")  # as make has it
    return any(True for _ in ROOT.glob(pattern)) or any(True for _ in ROOT.glob(f"{pattern}.py"))


def test_documents_link_to_what_is_there() -> None:
    link = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
    missing = {
        f"{text}: {target}"
        for text in texts()
        if text.suffix == ".md"
        for target in link.findall(read(text))
        if not target.startswith(("http://", "https://", "mailto:")) and not (ROOT / text.parent / target).exists()
    }
    assert not missing, "\n".join(sorted(missing))


def test_the_manual_names_every_command_and_every_flag_of_the_daemon() -> None:
    manual = "\n".join(path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))
    missing = {f"perdure {name}" for name in COMMANDS if f"perdure {name}" not in manual}
    missing |= {option.opts[0] for option in RUN_OPTIONS if option.opts[0] not in manual}
    assert not missing, "\n".join(sorted(missing))


def test_every_target_of_the_makefile_is_in_its_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    for target in set(phony.split()) - {"help", "FORCE"}:
        assert f'@echo "make {target} ' in makefile
