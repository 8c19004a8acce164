"""Dapr's YAML files: settings of workflows count, errors are named, and the rest is named too."""

from pathlib import Path

import pytest

from perdure.cli.dapr_config import DaprConfig, DaprFileError, read_config, read_resources
from perdure.cli.parsing import read_duration
from perdure.runtime.operations.retention.policy import Retention
from perdure.runtime.state.stores import StateStore
from perdure.runtime.workers.limits import DispatchLimits

SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US


def write(folder: Path, text: str, name: str = "config.yaml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def refusal_of(path: str) -> str:
    with pytest.raises(DaprFileError) as refusal:
        read_config([path])
    return str(refusal.value)


EVERYTHING = """
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata:
  name: orders
spec:
  workflow:
    maxConcurrentWorkflowInvocations: 10
    maxConcurrentActivityInvocations: 20
    workflowConcurrencyLimits:
      - {name: Order, maxConcurrent: 3}
      - {name: Refund, maxConcurrent: 1}
    activityConcurrencyLimits:
      - {name: charge, maxConcurrent: 5}
    stateRetentionPolicy:
      anyTerminal: 72h
      completed: 30m
      failed: 1h30m
      terminated: 0s
"""


def test_everything_that_concerns_workflows_is_read(tmp_path: Path) -> None:
    assert read_config([write(tmp_path, EVERYTHING)]) == DaprConfig(
        workflows_max=10,
        activities_max=20,
        workflow_max={"Order": 3, "Refund": 1},
        activity_max={"charge": 5},
        retention=Retention(
            any_terminal_us=72 * HOUR_US, completed_us=HOUR_US // 2, failed_us=HOUR_US * 3 // 2, terminated_us=0
        ),
    )


def test_limits_of_the_file_take_the_place_of_those_that_were_there(tmp_path: Path) -> None:
    before = DispatchLimits(workflows_max=1, activities_max=2, workflow_max={"a": 1}, activities_per_stream_max=7)
    config = read_config([write(tmp_path, EVERYTHING)])
    assert config.limit(before) == DispatchLimits(
        workflows_max=10,
        activities_max=20,
        workflow_max={"Order": 3, "Refund": 1},
        activity_max={"charge": 5},
        activities_per_stream_max=7,
    )
    assert DaprConfig().limit(before) == before


@pytest.mark.parametrize("text", ["", "kind: Configuration\n", "kind: Configuration\nspec:\n", "spec: {workflow: }"])
def test_a_file_that_says_nothing_changes_nothing(tmp_path: Path, text: str) -> None:
    assert read_config([write(tmp_path, text)]) == DaprConfig()


def test_no_limit_is_said_by_0(tmp_path: Path) -> None:
    config = read_config([write(tmp_path, "spec: {workflow: {maxConcurrentWorkflowInvocations: 0}}")])
    assert config.workflows_max is None


def test_the_limit_for_all_replicas_is_one_for_this_process_because_there_is_no_other(tmp_path: Path) -> None:
    text = "spec: {workflow: {globalMaxConcurrentActivityInvocations: 3, maxConcurrentActivityInvocations: 5}}"
    assert read_config([write(tmp_path, text)]).activities_max == 3


def test_a_later_file_wins_key_by_key(tmp_path: Path) -> None:
    first = write(tmp_path, EVERYTHING)
    second = write(
        tmp_path,
        "spec: {workflow: {maxConcurrentWorkflowInvocations: 1, stateRetentionPolicy: {completed: 1s}}}",
        "second.yaml",
    )
    config = read_config([first, second])
    assert (config.workflows_max, config.activities_max) == (1, 20)
    assert (config.retention.completed_us, config.retention.any_terminal_us) == (SECOND_US, 72 * HOUR_US)


def test_the_environment_is_filled_in_as_daprd_fills_it_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEP", "5s")
    monkeypatch.setenv("MOST", "7")
    monkeypatch.delenv("NOBODY", raising=False)
    text = "spec: {workflow: {maxConcurrentWorkflowInvocations: $MOST, stateRetentionPolicy: {failed: '${KEEP}'}}}"
    config = read_config([write(tmp_path, text + "\nmetadata: {name: '${NOBODY}'}")])
    assert (config.workflows_max, config.retention.failed_us) == (7, 5 * SECOND_US)


def test_what_has_no_meaning_here_is_named(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "kind: Configuration\nspec: {nameResolution: {}, workflow: {activityDispatchMode: pull, "
        "stateRetentionPolicy: {paused: 1s}}}",
    )
    config = read_config([path])
    assert config.ignored == (
        f"{path}: spec.nameResolution",
        f"{path}: spec.workflow.activityDispatchMode",
        f"{path}: spec.workflow.stateRetentionPolicy.paused",
    )


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("{maxConcurrentWorkflowInvocations: many}", "maxConcurrentWorkflowInvocations", "'many'"),
        ("{maxConcurrentActivityInvocations: -1}", "maxConcurrentActivityInvocations", "-1 is not a whole number"),
        ("{maxConcurrentActivityInvocations: true}", "maxConcurrentActivityInvocations", "True"),
        ("{workflowConcurrencyLimits: 3}", "workflowConcurrencyLimits", "a list"),
        ("{workflowConcurrencyLimits: [{maxConcurrent: 3}]}", "workflowConcurrencyLimits", "entry 0 has no name"),
        ("{activityConcurrencyLimits: [{name: a}]}", "activityConcurrencyLimits", "maxConcurrent of 'a' is None"),
        ("{stateRetentionPolicy: 72h}", "stateRetentionPolicy", "a mapping"),
        ("{stateRetentionPolicy: {completed: 3 days}}", "stateRetentionPolicy.completed", "'3 days'"),
        ("{stateRetentionPolicy: {failed: 60}}", "stateRetentionPolicy.failed", "60 is not a duration"),
        ("7", "spec.workflow", "a mapping was expected, not 7"),
    ],
)
def test_a_wrong_value_is_named_with_its_file_and_its_key(tmp_path: Path, text: str, key: str, problem: str) -> None:
    path = write(tmp_path, f"kind: Configuration\nspec: {{workflow: {text}}}")
    message = refusal_of(path)
    assert message.startswith(f"{path}: spec.workflow")
    assert key in message
    assert problem in message


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    assert "kind is 'Component'" in refusal_of(write(tmp_path, "kind: Component"))


def test_anything_but_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "kind: Configuration\nspec: {workflow: [")
    message = refusal_of(path)
    assert message.startswith(f"{path}: line 2")
    assert "not YAML" in message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal_of(str(tmp_path / "nowhere.yaml"))


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("72h", 72 * HOUR_US),
        ("1h30m", HOUR_US * 3 // 2),
        ("1.5h", HOUR_US * 3 // 2),
        (".5s", SECOND_US // 2),
        ("5.s", 5 * SECOND_US),
        ("100ms", 100_000),
        ("7us", 7),
        ("7µs", 7),
        ("1ns", 1),  # rounded up: never too early
        ("+2m", 120 * SECOND_US),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, microseconds: int) -> None:
    assert read_duration(text) == microseconds


@pytest.mark.parametrize("text", ["", "+", "5", "h", ".h", "-1s", "1 h", "1d", "1h ", "999999999h", 5, None])
def test_a_text_that_go_does_not_read_or_that_is_too_long_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="not a duration such as 72h"):
        read_duration(text)


def test_resources_are_named_by_kind_name_and_type(tmp_path: Path) -> None:
    write(
        tmp_path,
        "kind: Component\nmetadata: {name: events}\nspec: {type: pubsub.redis}\n---\n"
        "kind: Subscription\nmetadata: {name: orders}\n",
        "a.yaml",
    )
    write(tmp_path, "}", "b.yml")
    write(tmp_path, "not a resource", "notes.txt")
    first, second, broken = read_resources([str(tmp_path)], app_id="app").ignored
    assert (first, second) == ("Component events (pubsub.redis)", "Subscription orders")
    assert "b.yml" in broken


def test_a_folder_of_resources_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DaprFileError, match="no such folder"):
        read_resources([str(tmp_path / "nowhere")], app_id="app")


def test_a_file_whose_aliases_stand_for_too_much_is_refused_with_its_place(tmp_path: Path) -> None:
    aliases = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"a{level}: &a{level} [{','.join([f'*a{level - 1}' if level else '*a'] * 10)}]\n" for level in range(9)
    )
    path = write(tmp_path, f"{aliases}spec: {{workflow: *a8}}\n")
    assert refusal_of(path).startswith(f"{path}: line 5, column ")
    # A resource of this kind has no meaning here, and is named with its problem.
    assert "100000 values" in read_resources([path], app_id="app").ignored[0]


def test_a_file_without_an_end_is_read_to_the_limit_only() -> None:
    assert "more than 4194304 bytes" in refusal_of("/dev/zero")


STATE_STORE = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: NAME}
spec:
  type: state.redis
  version: v1
  metadata: [{name: redisHost, value: "localhost:6379"}, {name: KeyPrefix, value: PREFIX}]
"""


def test_components_that_are_state_stores_are_read_with_their_prefixes(tmp_path: Path) -> None:
    stores = STATE_STORE.replace("NAME", "cart").replace("PREFIX", "none")
    write(tmp_path, f"{stores}---{STATE_STORE.replace('NAME', 'orders').replace('PREFIX', 'appid')}", "stores.yaml")
    write(tmp_path, "kind: Component\nmetadata: {name: p}\nspec: {type: pubsub.redis}", "pubsub.yaml")
    found = read_resources([str(tmp_path)], app_id="app")
    assert found.stores == (
        StateStore("cart", "none", "state.redis", "v1"),
        StateStore("orders", "appid", "state.redis", "v1"),
    )
    assert found.ignored == ("Component p (pubsub.redis)",)


@pytest.mark.parametrize(("scopes", "seen"), [("[app, other]", True), ("[other]", False), ("[]", True)])
def test_a_state_store_of_other_apps_is_not_this_ones(tmp_path: Path, scopes: str, seen: bool) -> None:
    write(tmp_path, f"{STATE_STORE}scopes: {scopes}\n", "store.yaml")
    assert bool(read_resources([str(tmp_path)], app_id="app").stores) is seen


@pytest.mark.parametrize(("old", "new"), [("NAME", "7"), ("PREFIX", "'a||b'"), ("NAME", "''")])
def test_a_state_store_that_cannot_be_is_refused_with_its_file(tmp_path: Path, old: str, new: str) -> None:
    write(tmp_path, STATE_STORE.replace(old, new), "store.yaml")
    with pytest.raises(DaprFileError, match=r"store\.yaml: "):
        read_resources([str(tmp_path)], app_id="app")
