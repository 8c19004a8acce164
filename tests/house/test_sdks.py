"""The page of Dapr's SDKs has every call of the programs of tests/sdk, and is made of what they told."""

import ast
import json
import re
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import pytest

from ..support.docs.sdk_calls import CALLS
from ..support.paths import ROOT

FOLDER = ROOT / "tests" / "sdk"
PAGE = ROOT / "docs" / "dapr" / "sdks.md"
ANEW = "make it anew, as its first lines say"
# Calls in Go, JavaScript and Java: method("name", method(sdk, "name"; JavaScript's state takes functions.
NAMED = re.compile(r'\bmethod\((?:sdk, )?"([^"]+)"')
LISTED = re.compile(r"for \(const scenario of \[([\w, ]+)\]")


@pytest.fixture(scope="module")
def site() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "site" / "sdks.py"))


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(FOLDER)  # its modules lie beside it
    return runpy.run_path(str(FOLDER / "drive.py"))


def rows_of_page() -> Iterator[tuple[str, list[str]]]:
    """The SDK and the cells of each row."""
    for part in PAGE.read_text().split("\n## ")[1:]:
        sdk, _, text = part.partition("\n")
        for line in text.splitlines():
            if line.startswith("| ") and not line.startswith("| Call |"):
                yield sdk, re.split(r"(?<!\\) \| ", line.removeprefix("| ").removesuffix(" |"))


def sources(program: Any) -> Iterator[Path]:
    """The files that have a program's calls."""
    for path in (program.folder / word for word in program.command):
        if path.suffix in (".py", ".js") and path.parent.is_relative_to(FOLDER):
            yield path
            yield from (FOLDER / name for name in re.findall(r'"(sdk_\w+\.py)"', path.read_text()))  # it starts these
    if program.command[0] == "./scenarios":
        yield from program.folder.glob("*.go")
    if program.command[0] == "java":
        yield program.folder / f"{program.command[-1]}.java"


def calls(source: Path) -> Iterator[re.Pattern[str]]:
    """What the rows of a file's calls hold."""
    text = source.read_text()
    if source.suffix != ".py":
        yield from (re.compile(f"^{re.escape(name)}$") for name in NAMED.findall(text))
        yield from (re.compile(rf"^{name}$") for names in LISTED.findall(text) for name in names.split(", "))
        return
    tree = ast.parse(text)
    if source.name == "sdk_dotnet.py":
        return  # its calls are those of a program that is not in the repository
    for node in ast.walk(tree):
        if is_method(node) and (name := written(node.args[0])):
            yield name
        elif isinstance(node, ast.For) and any(map(is_method, ast.walk(node))):
            yield from (re.compile(rf"(?<!\w){re.escape(word)}(?!\w)") for word in words(node.iter, tree))


def is_method(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "method"


def written(argument: ast.expr) -> re.Pattern[str] | None:
    """The name of a call, in which a part that is known at run time only may be anything; None if no part is known."""
    parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
    known = [str(each.value) if isinstance(each, ast.Constant) else "" for each in parts]
    if not "".join(known).strip():
        return None
    return re.compile("^" + "".join(re.escape(each) or ".+" for each in known) + "$")


def words(looped: ast.expr, tree: ast.Module) -> Iterator[str]:
    """The names over which a loop goes: those of lists, of keys, and of functions."""
    named = {each.id for each in ast.walk(looped) if isinstance(each, ast.Name)}
    named |= {each.attr for each in ast.walk(looped) if isinstance(each, ast.Attribute)}
    yield from strings(looped)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(each, ast.Name) and each.id in named for each in targets):
                yield from strings(node.value)
        elif isinstance(looped, ast.Tuple) and isinstance(node, ast.FunctionDef) and node.name in named:
            yield node.name


def strings(node: ast.expr | None) -> Iterator[str]:
    """The texts of a list or a tuple, also in its lists and tuples, and the keys of a dictionary."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.List | ast.Tuple | ast.Dict):
        for each in node.keys if isinstance(node, ast.Dict) else node.elts:
            yield from strings(each)


def test_every_call_of_the_programs_is_in_the_page(drive: dict[str, Any]) -> None:
    rows = list(rows_of_page())
    told: dict[Path, list[str]] = {}
    missing, not_run = [], set()
    for program in drive["programs"]():
        sdk = program.name.split()[0].rstrip(",")
        found = [cells for of, cells in rows if of == sdk and cells[2] == program.how]
        if not found:
            missing.append(f"{program.name}: all of it")
        for source in sources(program):
            told.setdefault(source, []).extend(cells[0] for cells in found)
            # What has not run has told no calls, and the page says so in their place.
            if any(cells[1] == program.name and cells[3].startswith("NOT RUN") for cells in found):
                not_run.add(source)
    for source in told.keys() - not_run:
        absent = (call for call in calls(source) if not any(map(call.search, told[source])))
        missing += [f"{source.name}: {call.pattern}" for call in absent]
    assert not missing, "\n".join([ANEW, *missing])


def test_every_file_with_calls_is_looked_at(drive: dict[str, Any]) -> None:
    looked = {source for program in drive["programs"]() for source in sources(program)}
    files = [path for path in FOLDER.rglob("*") if path.suffix in (".py", ".go", ".js", ".java")]
    with_calls = {path for path in files if "node_modules" not in path.parts and any(calls(path))}
    assert len(with_calls) > 10
    assert with_calls <= looked, with_calls - looked


@pytest.mark.parametrize(
    ("file", "call"),
    [
        ("sdk_python.py", "async raise_workflow_event"),
        ("sdk_dotnet_protocol.py", "DaprWorkflowClient purge_instances_by_filter"),
        ("sdk_held_turn.py", "pause meets a turn, and the host is killed"),
        ("sdk_hosts.py", "87 acknowledged instances complete after 6 ends of hosts"),
        ("sdk_state_python.py", "first_write"),
        ("js/scenarios.js", "whenAll of 500 activities"),
        ("js/state.js", "saveAndGet"),
        ("go/main.go", "300 activities at once"),
        ("java/Scenarios.java", "continueAsNew"),
    ],
)
def test_calls_are_found_in_every_kind_of_program(file: str, call: str) -> None:
    assert any(pattern.search(call) for pattern in calls(FOLDER / file))
    assert not any(pattern.search("no such thing") for pattern in calls(FOLDER / file))


def untold(sdk: str, calls: Mapping[str, str]) -> list[str]:
    """The calls of an SDK that no row of the page tells of."""
    rows = [cells[0] for of, cells in rows_of_page() if of == sdk and not cells[3].startswith("NOT RUN")]
    return [
        call
        for call, row in calls.items()
        if not any(re.search(rf"(?<![\w-]){re.escape(row)}(?![\w-])", told) for told in rows)
    ]


@pytest.mark.parametrize(("sdk", "part"), [(sdk, part) for sdk, parts in CALLS.items() for part in parts])
def test_each_call_of_an_sdk_has_a_row(sdk: str, part: str) -> None:
    assert not untold(sdk, CALLS[sdk][part])
    assert untold(sdk, {"none": "no such row"}) == ["none"]


def test_all_sdks_and_all_their_parts_are_looked_at(site: dict[str, Any]) -> None:
    assert set(CALLS) == set(site["SDKS"])
    assert {tuple(parts) for parts in CALLS.values()} == {("clients", "context", "state")}


def test_each_program_that_a_row_rests_on_is_in_the_repository(drive: dict[str, Any]) -> None:
    # Given the programs, of which each way to try an SDK is one,
    programs = list(drive["programs"]())
    ways = {(program.name.split()[0].rstrip(","), program.how) for program in programs}
    # when a row names a way, then a program goes it, and its files are there.
    assert {(sdk, cells[2]) for sdk, cells in rows_of_page()} == ways
    gone = [source for program in programs for source in sources(program) if not source.is_file()]
    assert not gone
    assert not [program.name for program in programs if not program.folder.is_dir()]


def test_cells_of_the_page_are_short() -> None:
    assert not [cell for _, cells in rows_of_page() for cell in cells if len(cell) > 100]
    assert {len(cells) for _, cells in rows_of_page()} == {4}


def write(path: Path, *programs: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"versions": {"Go": "1.26"}, "programs": programs}))
    return path


def told(name: str, result: str, detail: str = "") -> dict[str, Any]:
    row = {"sdk": "Go durabletask-go", "method": "RaiseEvent", "result": result, "detail": detail}
    return {"name": name, "how": "a client", "rows": [row]}


def test_of_several_files_the_later_one_tells_what_a_program_did(site: dict[str, Any], tmp_path: Path) -> None:
    # Given a run of all, and a later one of some of it,
    first = write(tmp_path / "1.json", told("Go", "FAILED", "a|b\n" + "c" * 200), told("Go state", "passed"))
    second = write(tmp_path / "2.json", told("Go", "passed"))
    # when the page is made of the first, then it has the failure in a cell that fits;
    failed = site["page"](site["read"]([first]))
    assert "| FAILED: a\\|b ccc" in failed
    assert "Of 2 rows: 1 FAILED, 1 passed." in failed
    assert len(site["cell"]("c" * 200)) == 100
    # when it is made of both, then it has what the second says, and all of the first that the second has not.
    both = site["page"](site["read"]([first, second]))
    assert "FAILED" not in both
    assert both.count("| RaiseEvent | Go durabletask-go | a client | passed |") == 2


@pytest.mark.parametrize("text", ["", "[]", '{"versions": {}}', '{"versions": {}, "programs": [{"name": "Go"}]}'])
def test_a_file_of_something_else_is_refused_in_a_sentence(
    site: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    other = tmp_path / "other.json"
    other.write_text(text)
    assert site["main"]([str(other)]) == 1
    assert capsys.readouterr().err == f"{other} is no file that make SDK_RESULTS={other} test-sdks has written\n"


def test_a_file_that_is_not_there_is_told(
    site: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert site["main"]([str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.endswith("none cannot be read: No such file or directory\n")
    assert site["main"]([]) == 2


def test_the_rows_of_the_driver_become_a_page(drive: dict[str, Any], site: dict[str, Any], tmp_path: Path) -> None:
    # Given a program whose toolchain is missing,
    program = drive["Program"](name="Go", how="by hand", command=("none",), needs=("no-such-tool",))
    # when the driver writes what it did,
    results = drive["Results"](tmp_path / "build" / "sdks.json")
    results.add(program, list(drive["run"](program)))
    # then the page says that it did not run.
    page = site["page"](site["read"]([tmp_path / "build" / "sdks.json"]))
    assert "| all of it | Go | by hand | NOT RUN: no no-such-tool |" in page
    assert "Perdure " in page


def test_a_file_of_results_that_cannot_be_written_is_told_before_anything_runs(
    drive: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SDK_RESULTS", f"{tmp_path}/file/folder/sdks.json")
    said: list[str] = []
    assert drive["main"]([], said.append) == 2
    assert said == [f"SDK_RESULTS={tmp_path}/file/folder/sdks.json cannot be written: Not a directory"]


def test_how_a_program_tries_an_sdk_fits_into_a_cell(drive: dict[str, Any]) -> None:
    assert not [each.how for each in drive["programs"]() if len(each.how) > 100]
