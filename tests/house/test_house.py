"""The rules of the house that no tool knows: what lies where, and that what is named exists."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from perdure.cli.config import RUN_OPTIONS
from perdure.cli.main import COMMANDS

from ..support.paths import ROOT

LAYERS = ("actors", "api", "benchmarks", "cli", "daemon", "http", "rpc", "runtime", "telemetry", "testing")

# Modules without a test file of their own, and where they are tested instead.
TESTED_ELSEWHERE = {
    "actors/cluster/membership.py": "a record; tests/actors/cluster/test_peers.py has hosts that are members",
    "actors/cluster/outbound.py": "one end of a conversation; tests/actors/cluster/test_peers.py has both",
    "actors/cluster/inbound.py": "the other end",
    "actors/cluster/protocol.py": "the words of both; tests/actors/cluster/test_peers.py has them said",
    "actors/store/contract.py": "a promise; the conformance suite holds every store to it",
    "api/ports.py": "tests/http/serving/test_listener.py takes real ones",
    "daemon/config.py": "a record; tests/cli/test_config.py makes it",
    "daemon/metrics_port.py": "tests/telemetry/test_metrics.py takes it",
    "cli/parsing.py": "tests/cli/test_config.py gives each flag right and wrong values",
    "daemon/serve.py": "two functions; tests/cli/test_run.py and tests/daemon/hosts/test_member.py call them",
    "daemon/hosts/signals.py": "tests/daemon/hosts/test_processes.py sends real ones",
    "daemon/supervision.py": "tests/daemon/hosts/test_member.py has both ends of the pipe",
    "runtime/instance/surroundings.py": "a record",
    "runtime/instance/state.py": "tests/runtime/instance/test_actor.py has the actor whose memory it is",
    "rpc/schema.py": "generated; tests/rpc/test_generate.py generates it again",
    "api/control.py": "a protocol, fulfilled by the daemon",
    "runtime/workers/limits.py": "a record; tests/runtime/workers/test_dispatcher.py tests what it limits",
    "runtime/history/timed_event.py": "records",
    "runtime/instance/work.py": "records",
    "runtime/history/instance_state.py": "a record",
}


def modules() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))


def texts() -> list[Path]:
    """Everything in the repository that a person reads."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    paths = [ROOT / line for line in listed.splitlines()]
    return [path for path in paths if path.suffix in (".py", ".md", ".toml") or path.name in ("Makefile", "run")]


def test_every_module_has_a_test_file() -> None:
    missing = [module for module in modules() if not has_test_file(module) and module not in TESTED_ELSEWHERE]
    assert not missing, "\n".join(missing)


def test_the_list_of_modules_tested_elsewhere_is_up_to_date() -> None:
    assert set(TESTED_ELSEWHERE) <= set(modules())
    assert not [module for module in TESTED_ELSEWHERE if has_test_file(module)], "these have a test file by now"


def has_test_file(module: str) -> bool:
    return (ROOT / "tests" / module).with_name(f"test_{Path(module).name}").is_file()


def test_only_the_root_has_an_init() -> None:
    # A folder `http` with one would shadow the standard library's for whoever starts Python here.
    assert (ROOT / "__init__.py").is_file()
    assert not [path for layer in (*LAYERS, "tests", "examples") for path in (ROOT / layer).rglob("__init__.py")]


@pytest.mark.parametrize("arguments", [["-c", "import http.client"], ["-m", "pip", "--version"]])
def test_the_standard_librarys_http_is_not_shadowed_in_the_root(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)


def test_every_folder_with_modules_is_packed() -> None:
    packed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {Path(module).parent for module in modules()}
    assert {"perdure", *(".".join(("perdure", *folder.parts)) for folder in folders)} == set(packed)


def test_every_example_is_run_by_a_test() -> None:
    tests = (ROOT / "tests/whole/test_examples.py").read_text()
    for example in (ROOT / "examples").glob("*.py"):
        assert f'"{example.name}"' in tests, f"{example.name} is not in tests/whole/test_examples.py"


def test_files_that_are_named_exist() -> None:
    # In prose and comments, a path from the root; `actors/store/*` and `docs/design/` are paths too.
    folders = "|".join((*LAYERS, "docs", "examples", "tests"))
    path = re.compile(rf"(?<![\w/.:-])(?:{folders})/[\w./*%-]*[\w*/]")
    missing = {
        f"{text.relative_to(ROOT)}: {named}"
        for text in texts()
        for named in path.findall(text.read_text())
        if not exists(named)
    }
    assert not missing, "\n".join(sorted(missing))


def exists(named: str) -> bool:
    pattern = named.replace("%", "*")  # as make has it
    return any(True for _ in ROOT.glob(pattern)) or any(True for _ in ROOT.glob(f"{pattern}.py"))


def test_documents_link_to_what_is_there() -> None:
    link = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
    missing = {
        f"{text.relative_to(ROOT)}: {target}"
        for text in texts()
        if text.suffix == ".md"
        for target in link.findall(text.read_text())
        if not target.startswith(("http://", "https://", "mailto:")) and not (text.parent / target).exists()
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
