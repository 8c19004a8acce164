"""Run Dapr's published SDKs against this build, and print what each of their methods did.

`make test-sdks` calls it. Each program here talks to a real daemon of its own
through a real SDK and prints a line of JSON for each method (report.py). The
one law: nothing is green that did not run. A toolchain that is missing is a row
that says so, a program that breaks, hangs or says nothing is a row that failed,
and the exit code is that of the worst row.

Args of the command line: words; only programs whose name has one of them run. Where the environment has SDK_RESULTS,
the rows are also written into that file, of which docs/site/sdks.py makes docs/dapr/sdks.md.
"""

import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from host import Host  # type: ignore[import-not-found]  # beside this file, which is no package
from rich.console import Console
from rich.table import Table
from rich.text import Text

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NATIVE_APP = HERE / "sdk_native_app.py"

# A program with Dapr's .NET SDK inside, which is too large for a repository. It is looked for beside the clone.
DOTNET = Path(os.environ.get("PERDURE_DOTNET") or ROOT.parent / "shared" / "dotnet" / "dapr-dotnet")

PROGRAM_S = 300.0  # how long a program may take
PREPARE_S = 600.0  # the first download of a toolchain's packages

# What the programs need -> how it says its version.
TOOLS = {"Node": ("node", "--version"), "Go": ("go", "version"), "Java": ("java", "--version")}

CALLS = "a client and a worker at one daemon"
STATE = "a client of the state API at one daemon"

PASSED, FAILED, NOT_RUN = "passed", "FAILED", "NOT RUN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one method of one SDK did."""

    sdk: str
    method: str
    result: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Something to run against a daemon.

    Args:
        how: How it tries the SDK's calls, in at most 100 characters; a cell of docs/dapr/sdks.md.
        command: What to run; a path in it is from `folder`.
        needs: Programs that must be on the PATH, or files that must be there.
        prepare: Gets what it needs; run in `folder` before the first time.
        expected: Lines in its output that make it pass, for apps that report no rows.
        own_daemon: It starts daemons itself.
    """

    name: str
    how: str
    command: tuple[str, ...]
    folder: Path = HERE
    needs: tuple[str, ...] = ()
    prepare: tuple[tuple[str, ...], ...] = ()
    expected: tuple[str, ...] = ()
    own_daemon: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


def programs() -> list[Program]:
    new, old = (str(ROOT / f".venv-dapr-{version}" / "bin" / "python") for version in ("1.19", "1.17"))
    ours = sys.executable
    examples = ROOT / "examples"
    npm = ("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
    return [
        Program(
            name="Python 1.19",
            how=f"{CALLS}, which has workflows and activities too",
            command=(new, "sdk_python.py"),
            needs=(new,),
        ),
        Program(
            name="Python 1.17",
            how=f"{CALLS}, which has workflows and activities too",
            command=(old, "sdk_python.py"),
            needs=(old,),
        ),
        Program(
            name="Python 1.17 DaprClient",
            how="the calls of Dapr's guide, with a worker at one daemon",
            command=(old, "sdk_guide_python.py"),
            needs=(old,),
        ),
        Program(name="Python 1.19 state", how=STATE, command=(new, "sdk_state_python.py"), needs=(new,)),
        Program(
            name=".NET protocol",
            how="the messages of the SDK, sent without it to one daemon",
            command=(ours, "sdk_dotnet_protocol.py"),
        ),
        Program(name=".NET 1.19", how=CALLS, command=(ours, "sdk_dotnet.py", str(DOTNET)), needs=(str(DOTNET),)),
        Program(
            name=".NET DaprClient",
            how="the calls of Dapr's guide, with a worker at one daemon",
            command=(ours, "sdk_dotnet.py", str(DOTNET), "--guide"),
            needs=(str(DOTNET),),
        ),
        Program(
            name=".NET state", how=STATE, command=(ours, "sdk_dotnet.py", str(DOTNET), "--state"), needs=(str(DOTNET),)
        ),
        Program(
            name=".NET 1.19, host killed",
            how="a worker at one daemon, which is killed under load and started again",
            command=(ours, "sdk_dotnet_crash.py", str(DOTNET)),
            needs=(str(DOTNET),),
            own_daemon=True,
        ),
        Program(
            name="JavaScript",
            how=CALLS,
            command=("node", "scenarios.js"),
            folder=HERE / "js",
            needs=("node", "npm"),
            prepare=(npm,),
        ),
        Program(
            name="JavaScript state",
            how=STATE,
            command=("node", "state.js"),
            folder=HERE / "js",
            needs=("node", "npm"),
            prepare=(npm,),
        ),
        Program(
            name="Go",
            how=CALLS,
            command=("./scenarios",),
            folder=HERE / "go",
            needs=("go",),
            prepare=(("go", "build", "-o", "scenarios", "."),),
        ),
        Program(
            name="Go DaprClient",
            how="the calls of Dapr's guide and of the state API, at one daemon",
            command=("./scenarios",),
            folder=HERE / "go_guide",
            needs=("go",),
            prepare=(("go", "build", "-o", "scenarios", "."),),
        ),
        Program(
            name="Java",
            how=CALLS,
            command=("java", "-cp", "target/classes:target/lib/*", "Scenarios"),
            folder=HERE / "java",
            needs=("java", "mvn"),
            prepare=(("mvn", "-q", "-B", "compile"),),
        ),
        Program(
            name="Java state",
            how=STATE,
            command=("java", "-cp", "target/classes:target/lib/*", "StateCalls"),
            folder=HERE / "java",
            needs=("java", "mvn"),
            prepare=(("mvn", "-q", "-B", "compile"),),
        ),
        Program(
            name="Python 1.19, host killed",
            how="two workers at one daemon, which is killed under load and started again",
            command=(ours, "sdk_crash.py", new),
            needs=(new,),
            own_daemon=True,
        ),
        *(
            Program(
                name=f"{sdk}, {what}",
                how=f"two workers and clients at {how}",
                command=(ours, "sdk_hosts.py", kind, sdk, *worker),
                needs=needs,
                prepare=prepare,
                own_daemon=True,
            )
            for sdk, worker, needs, prepare in (
                ("Python 1.19", (new, "sdk_crash_worker.py"), (new,), ()),
                (
                    "JavaScript",
                    ("node", "js/crash_worker.js"),
                    ("node", "npm"),
                    (("npm", "ci", "--prefix", "js", *npm[2:]),),
                ),
                (
                    "Go",
                    ("go/scenarios", "crash"),
                    ("go",),
                    (("go", "build", "-C", "go", "-o", "scenarios", "."),),
                ),
                (
                    "Java",
                    ("java", "-cp", "java/target/classes:java/target/lib/*", "Crash"),
                    ("java", "mvn"),
                    (("mvn", "-q", "-B", "-f", "java", "compile"),),
                ),
                (".NET 1.19", (str(DOTNET), "--serve"), (str(DOTNET),), ()),
            )
            for kind, what, how in (
                ("processes", "two processes, killed", "two processes, which are killed one after the other"),
                ("postgres", "three hosts on PostgreSQL, killed", "three hosts, which are killed one after the other"),
                ("rolling", "three hosts on PostgreSQL, restarted", "three hosts, which are restarted in turn"),
                ("native", "three hosts with native workflows, killed", "hosts with the workflows, which are killed"),
            )
            # The activities of Go and Java need more than their number, and .NET's workflows are its own.
            if kind != "native" or sdk not in ("Go", "Java", ".NET 1.19")
        ),
        *(
            Program(
                name=f"Python 1.19, two apps ({kind})",
                how=how,
                command=(ours, "sdk_apps.py", kind, new),
                needs=(new,),
                own_daemon=True,
            )
            for kind, how in (
                ("daemon", "workers of two apps at one daemon"),
                ("daprd", "workers of two apps, each at a perdure daprd of its own"),
            )
        ),
        Program(
            name="Python 1.19, what meets a turn",
            how="something arrives while a worker has a turn, before each outcome of the turn",
            command=(ours, "sdk_held_turn.py", new),
            needs=(new,),
            own_daemon=True,
        ),
        Program(
            name="Python, examples/dapr_python",
            how="the example as its README says, at one daemon",
            command=(new, "app.py"),
            folder=examples / "dapr_python",
            needs=(new,),
            expected=("shipped", "refused", "COMPLETED"),
        ),
        Program(
            name="JavaScript, examples/dapr_js",
            how="the example as its README says, at one daemon",
            command=("node", "app.js"),
            folder=examples / "dapr_js",
            needs=("node", "npm"),
            prepare=(npm,),
            expected=("shipped", "refused", "COMPLETED"),
        ),
    ]


def run(program: Program) -> Iterator[Row]:
    """Run a program, and report its results."""
    missing = [need for need in program.needs if shutil.which(need) is None]
    if missing:
        why = ", ".join(f"no {Path(each).name if '/' not in each else each}" for each in missing)
        yield Row(sdk=program.name, method="", result=NOT_RUN, detail=why)
        return
    for command in program.prepare:
        prepared = finished(command, program.folder, dict(os.environ), PREPARE_S)
        if prepared.returncode != 0:
            yield Row(sdk=program.name, method=" ".join(command), result=FAILED, detail=tail(prepared))
            return
    with tempfile.TemporaryDirectory(prefix="perdure-sdk-") as folder:
        data = Path(folder) / "perdure.db"
        if program.own_daemon:
            yield from judged(program, finished(program.command, program.folder, dict(os.environ), PROGRAM_S))
            return
        with Host(data, app=NATIVE_APP) as host:
            yield from judged(program, finished(program.command, program.folder, host.env(), PROGRAM_S))
            code = host.stop()
            if code != 0:
                yield Row(sdk=program.name, method="the daemon stops", result=FAILED, detail=f"exit code {code}")


def judged(program: Program, done: subprocess.CompletedProcess[str]) -> Iterator[Row]:
    """Read a program's rows; one without any is judged by its output."""
    rows = [Row(**json.loads(line)["row"]) for line in done.stdout.splitlines() if line.startswith('{"row":')]
    yield from rows
    if program.expected:
        absent = [line for line in program.expected if line not in done.stdout]
        detail = f"its output misses {absent}: {tail(done)}" if absent else ""
        yield Row(
            sdk=program.name, method="runs as its README says", result=FAILED if absent else PASSED, detail=detail
        )
    if done.returncode != 0 and not any(row.result == FAILED for row in rows):
        yield Row(sdk=program.name, method="ends well", result=FAILED, detail=f"{done.returncode}: {tail(done)}")
    elif not rows and not program.expected:
        yield Row(sdk=program.name, method="reports", result=FAILED, detail="it said nothing of any method")


def finished(
    command: tuple[str, ...], folder: Path, env: Mapping[str, str], within_s: float
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, cwd=folder, env=dict(env), check=False, capture_output=True, text=True, timeout=within_s
        )
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode(errors="replace"), (late.stderr or b"").decode(errors="replace")
        return subprocess.CompletedProcess(command, 124, said[0], f"{said[1]}\nnot done after {within_s:g} s")


def tail(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip() or done.stdout.strip())[-600:]


class Results:
    """The rows of each program, in a file.

    Args:
        file: Where the JSON goes, anew after each program; None: nowhere.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._programs: list[dict[str, object]] = []
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._write()  # a file that cannot be written is told before anything runs

    def add(self, program: Program, rows: list[Row]) -> None:
        self._programs.append({"name": program.name, "how": program.how, "rows": [asdict(row) for row in rows]})
        self._write()

    def _write(self) -> None:
        if self._file is not None:
            self._file.write_text(json.dumps({"versions": versions(), "programs": self._programs}, indent=1) + "\n")


def versions() -> dict[str, str]:
    """Tell the versions of this build and of what the programs run on, of those that are here."""
    found = {"Perdure": importlib.metadata.version("perdure"), "Python": platform.python_version()}
    for name, command in TOOLS.items():
        if shutil.which(command[0]) is not None:
            said = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60).stdout
            if number := re.search(r"\d+(\.\d+)+", said):
                found[name] = number[0]
    return found


STYLES = {PASSED: "green", FAILED: "bold red", NOT_RUN: "bold yellow"}


def table(rows: list[Row]) -> Table:
    made = Table("Method", "Result", box=None, pad_edge=False)
    for sdk in dict.fromkeys(row.sdk for row in rows):
        made.add_row(sdk, style="bold")
        for row in rows:
            if row.sdk == sdk:
                result = f"{row.result}: {row.detail}" if row.detail else row.result
                made.add_row(f"  {row.method or 'everything'}", Text(result, style=STYLES[row.result]))
    return made


def main(wanted: list[str], tell: Callable[[str], None]) -> int:
    file = os.environ.get("SDK_RESULTS")
    try:
        results = Results(Path(file).absolute() if file else None)
    except OSError as error:
        tell(f"SDK_RESULTS={file} cannot be written: {error.strerror}")
        return 2
    console = Console(width=max(100, shutil.get_terminal_size().columns), markup=False)
    rows: list[Row] = []
    for program in programs():
        if wanted and not any(word in program.name for word in wanted):
            continue
        tell(f"{program.name} ...")
        began = time.monotonic()
        found = list(run(program))
        rows += found
        results.add(program, found)
        counts = Counter(row.result for row in found)
        said = ", ".join(f"{count} {result}" for result, count in counts.items())
        tell(f"{program.name}: {said} in {time.monotonic() - began:.0f} s")
    console.print(table(rows))
    total = Counter(row.result for row in rows)
    console.print(", ".join(f"{count} {result}" for result, count in total.items()) or "nothing ran")
    for row in rows:
        if row.result == NOT_RUN:
            console.print(f"NOT RUN: {row.sdk}: {row.detail}", style="bold yellow")
    # Other than a failure, a missing toolchain is no reason to stop a build: that it is missing has been said.
    return 1 if total[FAILED] or not total[PASSED] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], lambda text: print(text, file=sys.stderr, flush=True)))
