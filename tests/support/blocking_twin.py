"""Makes the client's blocking twin out of its source: `python tests/support/blocking_twin.py` writes it.

The rule: a method of the twin has the parameters, the types and the docstring of the method that it is made from, and
waits for it. `tests/client/test_blocking_twin.py` compares the module in `client/` with the output of this one.

The idea is unasync's, which httpcore, psycopg and elasticsearch-py generate their blocking clients with. Those drop the
words `async` and `await` from the code itself. Here only signatures are carried over, because the blocking client runs
the other one in the event loop of a thread; of a handle, whose methods are one call each, the code is carried over.
"""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef

NOTICE = "Made by tests/support/blocking_twin.py of {source}. Changes are made there."


class Twin(NamedTuple):
    """A module of the twin."""

    path: str
    source: str  # the module that it is made from
    original: str  # a class there
    name: str  # of its twin
    base: str
    header: str  # docstring and imports


INSTANCES = Twin(
    "client/blocking_instances.py",
    "runtime/operations/client.py",
    "Client",
    "BlockingInstances",
    "BlockingCalls",
    '''"""The blocking twin of `Client`, and of its handles.

The rule: each method is the one of `Client`, and waits.

{notice}
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Generic, Self, TypeVar, Unpack, overload

from ..runtime.history.status import Status
from ..runtime.operations.client import AsyncCode, GeneratorCode, IfTaken, RunOptions, StartOptions
from ..runtime.operations.facade import finished
from ..runtime.operations.handle import Seconds, Workflow, WorkflowState
from .blocking_calls import BlockingCalls
from .blocking_state import BlockingState

R = TypeVar("R")
''',
)
MANAGEMENT = Twin(
    "client/blocking_management.py",
    "client/management_client.py",
    "ManagementClient",
    "BlockingManagement",
    "BlockingInstances",
    '''"""The blocking twin of `ManagementClient`.

The rule: each method is the one of `ManagementClient`, and waits.

{notice}
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, Unpack, overload

from msgspec import UNSET

from ..api.management.actions import ActionDone, RerunPreview
from ..api.management.bulk import BulkPlan, OperationInfo, OperationList
from ..api.management.history import HistoryList
from ..api.management.instances import CountResult, InstanceDetails, InstanceList, InstanceSummary, InstanceTree
from ..api.management.overview import (
    ActivityList,
    AttentionView,
    AuditList,
    HostList,
    SystemView,
    WorkerList,
    WorkflowList,
)
from .blocking_calls import BlockingStream
from .blocking_instances import BlockingHandle, BlockingInstances
from .filters import Filter, Moment
from .management_client import BulkWord, Order, Payloads, Report, StatusChange
''',
)
STATE = Twin(
    "client/blocking_state.py",
    "runtime/state/client.py",
    "StateClient",
    "BlockingState",
    "BlockingStateCalls",
    '''"""The blocking twin of `StateClient`.

The rule: each method is the one of `StateClient`, and waits.

{notice}
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar, overload

from ..runtime.state.client import DeleteValue, SavedValue, SetValue
from .blocking_calls import BlockingStateCalls

T = TypeVar("T")
''',
)
TWINS = (INSTANCES, MANAGEMENT, STATE)

HANDLE = ("runtime/operations/handle.py", "Handle")

# Word by word, in signatures, docstrings and the code of handles.
WORDS = (
    (r"  # noqa: ASYNC109.*", ""),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsyncGenerator\[AsyncIterator\[(\w+)\], None\]", r"BlockingStream[\1]"),
    (r"\bAsyncGenerator\[(\w+), None\]", r"BlockingStream[\1]"),
    (r"\bHandle\b", "BlockingHandle"),
    (r"\bStateClient\b", STATE.name),
    (r"\bSteered\b", f'"{INSTANCES.name}"'),
)


def make(twin: Twin) -> str:
    """Make the source of a module of the twin."""
    source = (ROOT / twin.source).read_text()
    parts = [twin.header.format(notice=NOTICE.format(source=twin.source))]
    if twin is INSTANCES:
        path, name = HANDLE
        text = (ROOT / path).read_text()
        parts.append(f"\n\n{blocking(segment(text, found(text, name)))}")
    original = found(source, twin.original)
    parts.append(f"\n\nclass {twin.name}({twin.base}):\n    {twin_docstring(original)}\n")
    parts += [f"\n{method}" for method in methods(source, original)]
    return "".join(parts)


def methods(source: str, original: ast.ClassDef) -> Iterator[str]:
    """Make the methods of a twin."""
    for node in original.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            decorators = [ast.unparse(each) for each in node.decorator_list]
            if "overload" in decorators:
                yield "    @overload\n" + blocking(segment(source, node)) + "\n"
            else:
                yield method(source, node, within="asynccontextmanager" in decorators)


def method(source: str, node: Function, *, within: bool) -> str:
    """Make a method: the signature and the docstring of another, and a call of it."""
    lines = source.splitlines()
    docstring = node.body[0]
    assert ast.get_docstring(node), node.name
    head = blocking("\n".join(lines[node.lineno - 1 : docstring.end_lineno]))
    # The docstring's own raw lines: the last one may be the first.
    call = f"client.{node.name}({', '.join(arguments(node))})"
    returned = ast.unparse(node.returns) if node.returns is not None else "None"
    if returned == STATE.original:
        body = f"return {STATE.name}(self, {', '.join(arguments(node))})"
    elif isinstance(node, ast.FunctionDef):
        body = f"client = self._unopened\nhandle = {call}\nreturn BlockingHandle(handle, self, handle.workflow)"
    elif returned.startswith("Handle["):
        body = f"handle = self._call(lambda client: {call})\nreturn BlockingHandle(handle, self, handle.workflow)"
    elif returned.startswith("AsyncGenerator["):
        body = f"return self.{'_each_within' if within else '_each'}(lambda client: {call})"
    else:
        body = f"{'' if returned == 'None' else 'return '}self._call(lambda client: {call})"
    return head + "\n" + "".join(f"        {line}\n" for line in body.splitlines())


def arguments(node: Function) -> Iterator[str]:
    """The arguments with which a method passes its own arguments on."""
    yield from (each.arg for each in (*node.args.posonlyargs, *node.args.args)[1:])
    yield from (f"{each.arg}={each.arg}" for each in node.args.kwonlyargs)
    if node.args.kwarg is not None:
        yield f"**{node.args.kwarg.arg}"


def blocking(text: str) -> str:
    """Change the words that differ."""
    for pattern, word in WORDS:
        text = re.sub(pattern, word, text)
    return text


def found(source: str, name: str) -> ast.ClassDef:
    """Find a class."""
    return next(each for each in ast.parse(source).body if isinstance(each, ast.ClassDef) and each.name == name)


def segment(source: str, node: Function | ast.ClassDef) -> str:
    """The lines of a function or a class, without decorators."""
    return "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])


def twin_docstring(original: ast.ClassDef) -> str:
    return f'"""The methods of `{original.name}`, each of which waits."""'


def formatted(text: str) -> str:
    """Format it with ruff."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff is None:
        raise SystemExit("ruff is needed: make .venv/extra-check")
    command = [ruff, "format", "--stdin-filename", "client/blocking.py", "-"]
    return subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    for each in TWINS:
        (ROOT / each.path).write_text(formatted(make(each)))
