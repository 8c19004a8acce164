"""Reads the parts of Dapr's YAML files that concern workflows: limits, retention, tracing and state stores.

The rule: an error names the file, the key and the wrong value. A key without a meaning in Perdure has no effect, and is
listed for the log. `cli/daprd.py` reads the files of its command line.

Source: contract 4.5; dapr `pkg/config/configuration.go`.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..actors.errors import PerdureError
from ..actors.plain_file import FileUnfit, read_plain
from ..api.tracing import TracingConfig
from ..runtime.operations.retention.policy import Retention
from ..runtime.state.stores import BY_APP_ID, StateStore
from ..runtime.workers.limits import DispatchLimits
from .parsing import read_duration
from .tracing.dapr import TRACING_READERS, tracing_of
from .yaml_documents import TEXT_CHARACTERS_MAX, YamlRefused, load_documents

KIND = "Configuration"
INT32_MAX = 2**31 - 1
PIPE_S = 5.0  # for a file that is a pipe


class DaprFileError(PerdureError):
    """A file of Dapr cannot be used."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DaprConfig:
    """The values of the files that have a meaning in Perdure."""

    workflows_max: int | None = None  # None: no limit
    activities_max: int | None = None
    workflow_max: Mapping[str, int] | None = None  # by workflow; None: no file has the key
    activity_max: Mapping[str, int] | None = None
    retention: Retention = field(default_factory=Retention)
    tracing: TracingConfig | None = None  # None: no file has the section
    ignored: tuple[str, ...] = ()  # keys without a meaning in Perdure, as `file: key`

    def limit(self, dispatch: DispatchLimits) -> DispatchLimits:
        """Return the limits of the files, with `dispatch` for the limits that no file has."""
        return replace(
            dispatch,
            workflows_max=self.workflows_max or dispatch.workflows_max,
            activities_max=self.activities_max or dispatch.activities_max,
            workflow_max=dispatch.workflow_max if self.workflow_max is None else dict(self.workflow_max),
            activity_max=dispatch.activity_max if self.activity_max is None else dict(self.activity_max),
        )


def read_config(paths: Sequence[str]) -> DaprConfig:
    """Read files of kind Configuration. As in daprd, the last of several values of a key counts.

    Raises:
        DaprFileError: A file is missing, is not YAML, is of another kind, or has a wrong value.
    """
    found: dict[str, dict[str, Any]] = {section.name: {} for section in SECTIONS}
    ignored: list[str] = []
    for path in map(Path, paths):
        for section, key, value in _values(path, ignored):
            found[section][key] = value
    workflow = found["workflow"]
    # Here one process serves the whole app, so the limit for all replicas is a limit for this process.
    limits = {
        name: min((workflow[key] for key in keys if workflow.get(key)), default=None)
        for name, keys in CONCURRENCY.items()
    }
    policy = {name: workflow[key] for key, name in RETENTION.items() if key in workflow}
    return DaprConfig(
        workflow_max=workflow.get("workflowConcurrencyLimits"),
        activity_max=workflow.get("activityConcurrencyLimits"),
        retention=Retention(**policy),
        tracing=tracing_of(found["tracing"]),
        ignored=tuple(ignored),
        **limits,
    )


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of folders."""

    stores: tuple[StateStore, ...] = ()  # components with a type state.*
    ignored: tuple[str, ...] = ()  # other resources, such as `Component pubsub (pubsub.redis)`


def read_resources(paths: Sequence[str], *, app_id: str) -> Resources:
    """Read the resources in folders.

    Args:
        app_id: The app; as in daprd, resources with other scopes are left out.

    Raises:
        DaprFileError: A folder is missing, or a state store has wrong values.
    """
    stores: list[StateStore] = []
    ignored: list[str] = []
    for folder in map(Path, paths):
        if not folder.exists():
            raise DaprFileError(folder, "there is no such folder of resources.")
        files = sorted(folder.iterdir()) if folder.is_dir() else [folder]
        for file in files:
            if file.suffix in (".yaml", ".yml") and file.is_file():
                for resource in _resources_in(file):
                    if isinstance(resource, str):
                        ignored.append(resource)
                    elif not resource.scopes or app_id in resource.scopes:
                        stores.append(resource.store)
    return Resources(tuple(stores), tuple(ignored))


@dataclass(frozen=True, slots=True)
class _ScopedStore:
    store: StateStore
    scopes: tuple[str, ...]  # ids of apps; empty: all apps


# field of DaprConfig -> the keys that set it; the least of several values counts
CONCURRENCY = {
    "workflows_max": ("maxConcurrentWorkflowInvocations", "globalMaxConcurrentWorkflowInvocations"),
    "activities_max": ("maxConcurrentActivityInvocations", "globalMaxConcurrentActivityInvocations"),
}

RETENTION = {
    "stateRetentionPolicy.anyTerminal": "any_terminal_us",
    "stateRetentionPolicy.completed": "completed_us",
    "stateRetentionPolicy.failed": "failed_us",
    "stateRetentionPolicy.terminated": "terminated_us",
}


def _values(path: Path, ignored: list[str]) -> Iterator[tuple[str, str, Any]]:
    """Yield the section, the key and the checked value of each entry of a file that has a meaning in Perdure.

    Args:
        ignored: Gets the other keys.
    """
    for document in _documents(path):
        if not isinstance(document, dict):
            raise DaprFileError(path, f"a mapping was expected, not {_shown(document)}.")
        kind = document.get("kind", KIND)
        if kind != KIND:
            raise DaprFileError(path, f"kind is {_shown(kind)}, and --config wants {KIND}.")
        spec = _mapping(path, "spec", document.get("spec"))
        known = {section.name for section in SECTIONS}
        ignored.extend(f"{path}: spec.{key}" for key in spec if key not in known)
        for section in SECTIONS:
            for key, value in _flat(path, section, spec.get(section.name)):
                read = section.readers.get(key)
                whole = f"spec.{section.name}.{key}"
                if read is None:
                    ignored.append(f"{path}: {whole}")
                elif value is not None:
                    yield section.name, key, _read(path, whole, value, read)


def _flat(path: Path, section: "_Section", value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of a section; a key of an inner mapping is `outer.inner`."""
    name = f"spec.{section.name}"
    for key, each in _mapping(path, name, value).items():
        if key in section.nested:
            for inner, part in _mapping(path, f"{name}.{key}", each).items():
                yield f"{key}.{inner}", part
        else:
            yield key, each


def _read(path: Path, key: str, value: Any, read: Callable[[Any], Any]) -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise DaprFileError(path, f"{key}: {error}") from None


def _mapping(path: Path, key: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DaprFileError(path, f"{key}: a mapping was expected, not {_shown(value)}.")
    return value


def read_limit(value: Any) -> int:
    """Read a number of invocations; 0 means no limit.

    Raises:
        ValueError: It is no such number.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= INT32_MAX:
        raise ValueError(f"{_shown(value)} is not a whole number from 0 up, where 0 is no limit.")
    return value


def read_named_limits(value: Any) -> dict[str, int]:
    """Read `[{name, maxConcurrent}]`.

    Raises:
        ValueError: It has another form.
    """
    if not isinstance(value, list):
        raise ValueError(f"a list of name and maxConcurrent was expected, not {_shown(value)}.")
    limits = {}
    for position, entry in enumerate(value):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            raise ValueError(f"entry {position} has no name: {_shown(entry)}.")
        most = entry.get("maxConcurrent")
        if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= INT32_MAX:
            raise ValueError(f"maxConcurrent of {name!r} is {_shown(most)}, not a whole number from 1 up.")
        limits[name] = most
    return limits


@dataclass(frozen=True, slots=True)
class _Section:
    """A mapping below `spec` that has a meaning in Perdure."""

    name: str
    nested: tuple[str, ...]  # keys whose values are mappings too
    readers: Mapping[str, Callable[[Any], Any]]  # by key, nested ones as `outer.inner`; other keys are ignored


SECTIONS = (
    _Section("tracing", ("otel", "zipkin"), TRACING_READERS),
    _Section(
        "workflow",
        ("stateRetentionPolicy",),
        {
            **{key: read_limit for keys in CONCURRENCY.values() for key in keys},
            "workflowConcurrencyLimits": read_named_limits,
            "activityConcurrencyLimits": read_named_limits,
            **dict.fromkeys(RETENTION, read_duration),
        },
    ),
)


def _documents(path: Path) -> list[Any]:
    """Read the documents of a file. As in daprd, `$NAME` and `${NAME}` are replaced by environment variables."""
    try:
        text = read_plain(path, bytes_max=4 * TEXT_CHARACTERS_MAX, pipe_s=PIPE_S).decode()
    except FileUnfit as error:
        raise DaprFileError(path, error.why) from None
    except UnicodeDecodeError:
        raise DaprFileError(path, "it is not UTF-8 text.") from None
    text = re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda name: os.environ.get(name[1] or name[2], ""), text)
    try:
        return load_documents(text)
    except YamlRefused as error:
        raise DaprFileError(path, str(error)) from None


def _resources_in(file: Path) -> Iterator[str | _ScopedStore]:
    try:
        documents = _documents(file)
    except DaprFileError as error:
        # Not an error: the file may have other resources, which have no meaning here, and daprd may accept its YAML.
        yield str(error).rstrip(".")
        return
    for document in documents:
        if isinstance(document, dict):
            metadata, spec = _or_empty(document, "metadata"), _or_empty(document, "spec")
            name, kind = metadata.get("name"), spec.get("type")
            if isinstance(kind, str) and kind.lower().startswith("state.") and document.get("kind") == "Component":
                yield _state_store(file, document, name, kind)
            else:
                yield f"{document.get('kind', 'resource')} {name or file.name}" + (f" ({kind})" if kind else "")


def _state_store(file: Path, document: dict[str, Any], name: Any, kind: str) -> _ScopedStore:
    """Return a component that is a state store. Only `keyPrefix` of its metadata has a meaning in Perdure."""
    if not isinstance(name, str):
        raise DaprFileError(file, f"metadata.name of the component of type {kind} is {_shown(name)}, and no text.")
    spec = _or_empty(document, "spec")
    given = spec.get("metadata")
    prefix = BY_APP_ID
    for entry in given if isinstance(given, list) else ():
        if isinstance(entry, dict) and str(entry.get("name")).lower() == "keyprefix":
            prefix = str(entry.get("value", BY_APP_ID))
    scopes = document.get("scopes")
    try:
        store = StateStore(name, prefix, kind, str(spec.get("version", "v1")))
    except ValueError as error:
        raise DaprFileError(file, f"{error}.") from None
    return _ScopedStore(store, tuple(map(str, scopes)) if isinstance(scopes, list) else ())


def _or_empty(document: dict[str, Any], key: str) -> dict[str, Any]:
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def _shown(value: Any) -> str:
    """Format a value for an error, in at most 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
