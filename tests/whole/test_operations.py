"""The flags, variables and metrics in the runbook and the manifests exist; a daemon starts with those flags."""

import json
import re
import shlex
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
import yaml

from perdure.cli.main import main
from perdure.cli.run_flags import RUN_OPTIONS

from ..support.paths import ROOT
from ..support.postgres import PostgresServer, installed
from ..support.processes.daemon import Daemon

FOLDER = ROOT / "docs" / "operations"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
DEPLOYMENT, SERVICE, BUDGET = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())
UNIT = (FOLDER / "orders.service").read_text()
IMAGE = (FOLDER / "Dockerfile").read_text()
POD = DEPLOYMENT["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]
RUNBOOK = (FOLDER / "runbook.md").read_text()
ALERTS = FOLDER / "alerts.yaml"

FLAGS = {flag: option for option in RUN_OPTIONS for flag in option.opts}
ENDS_WITHIN_S = 30  # as docs/hosts.md promises


def arguments_of(command: Sequence[str]) -> Sequence[str]:
    """The arguments of `perdure run` in a command of a manifest."""
    words = shlex.split(" ".join(command).replace("&&", ";"))
    return words[words.index("perdure") + 2 :]


def command_of(words: Sequence[str]) -> click.Command:
    """The command that a command line calls."""
    command: click.Command | None = main
    at = 0
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words[at])
        at += 1
    assert command is not None, words
    return command


def of_compose() -> Sequence[str]:
    return arguments_of([COMPOSE["services"]["host"]["command"][2]])


def of_kubernetes() -> Sequence[str]:
    return [word.replace("$(POD_IP)", "127.0.0.1") for word in arguments_of(CONTAINER["args"])]


def of_unit() -> Sequence[str]:
    return arguments_of(re.findall(r"^ExecStart=(.*)$", UNIT.replace("/srv/orders/.venv/bin/", ""), re.MULTILINE))


def of_image() -> Sequence[str]:
    return arguments_of(json.loads(re.findall(r"^CMD (.*)$", IMAGE, re.MULTILINE)[0]))


@pytest.mark.parametrize(
    "arguments",
    [of_compose(), of_kubernetes(), of_unit(), of_image()],
    ids=["compose", "kubernetes", "systemd", "docker"],
)
def test_every_flag_of_a_manifest_is_one_of_the_command(arguments: Sequence[str]) -> None:
    run = command_of(["run"])
    with run.make_context("run", list(arguments)) as context:
        given = {
            name
            for name in context.params
            if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        }
    assert len(given) == 1 + sum(word.startswith("--") for word in arguments)  # and APP


def test_every_variable_of_a_manifest_is_one_of_the_command() -> None:
    known = {name for option in RUN_OPTIONS for name in names_of(option)}
    named = {*COMPOSE["services"]["host"]["environment"], *(each["name"] for each in CONTAINER["env"])}
    named |= set(re.findall(r"PERDURE_[A-Z_]+", UNIT + IMAGE))
    assert {name for name in named if name.startswith("PERDURE_")} <= known
    assert {"PERDURE_DATA", "PERDURE_API_TOKEN"} <= named
    assert named - known == {"PGPASSWORD", "POD_IP"}


def names_of(option: click.Option) -> Sequence[str]:
    return [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())


def test_the_parts_of_a_manifest_fit_each_other() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    selectors = [each["spec"]["selector"] for each in (DEPLOYMENT, BUDGET)]
    assert [each["matchLabels"] for each in selectors] == [labels, labels]
    assert SERVICE["spec"]["selector"] == labels
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert {port["targetPort"] for port in SERVICE["spec"]["ports"]} < set(ports)
    arguments = of_kubernetes()
    assert arguments[arguments.index("--metrics-port") + 1] == str(ports["metrics"])
    assert arguments[arguments.index("--peer-address") + 1].endswith(f":{ports['peers']}")
    defaults: dict[str, Any] = {name: FLAGS[f"--{name}-port"].default for name in ("http", "grpc")}
    (defaults["grpc"],) = defaults["grpc"]  # the port of the first app
    assert {name: ports[name] for name in defaults} == defaults
    # In Compose the balancer listens on the default ports, and its servers are the hosts' ports.
    balanced = COMPOSE["configs"]["haproxy"]["content"]
    for name, port in defaults.items():
        assert f"bind :{port}" in balanced, name
        assert f" host:{port}" in balanced, name
    replicas = COMPOSE["services"]["host"]["deploy"]["replicas"]
    assert f"server-template host {replicas} " in balanced


def test_a_host_has_the_time_that_it_needs_to_leave() -> None:
    arguments = of_kubernetes()
    drain_s = float(arguments[arguments.index("--drain") + 1])
    probe = CONTAINER["readinessProbe"]
    assert drain_s > 2 * probe["periodSeconds"] * probe["failureThreshold"]
    assert POD["terminationGracePeriodSeconds"] > ENDS_WITHIN_S
    assert int(COMPOSE["services"]["host"]["stop_grace_period"].rstrip("s")) > ENDS_WITHIN_S
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)[0]) > ENDS_WITHIN_S


def test_an_image_and_a_unit_keep_the_store_where_it_outlives_the_process() -> None:
    (volume,) = re.findall(r"^VOLUME (.*)$", IMAGE, re.MULTILINE)
    assert f"PERDURE_DATA={volume}/" in IMAGE
    (folder,) = re.findall(r"^StateDirectory=(.*)$", UNIT, re.MULTILINE)
    assert f"--data /var/lib/{folder}/" in UNIT


@pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")
def test_a_daemon_with_the_flags_of_a_manifest_answers_its_probes_without_a_token(
    tmp_path: Path, own_server: PostgresServer
) -> None:
    (tmp_path / "app.py").write_text("from perdure import App\n\napp = App('orders')\n")
    with socket.create_server(("127.0.0.1", 0)) as peers, socket.create_server(("127.0.0.1", 0)) as metrics:
        ports = {"7070": peers.getsockname()[1], "9090": metrics.getsockname()[1]}
    given = [re.sub("7070|9090", lambda found: str(ports[found[0]]), word) for word in of_kubernetes()[1:]]
    env = {"PERDURE_API_TOKEN": "secret"}
    with Daemon(tmp_path / "app.py", tmp_path / "log.db", "--data", own_server.url(), *given, env=env) as daemon:
        url = daemon.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        for probe in ("readinessProbe", "livenessProbe"):
            assert httpx.get(f"{url}{CONTAINER[probe]['httpGet']['path']}").status_code == 200
        assert httpx.get(f"{url}/api/v1/hosts").status_code == 401
        hosts = httpx.get(f"{url}/api/v1/hosts", headers={"dapr-api-token": "secret"}).json()
        assert hosts["items"][0]["address"] == f"127.0.0.1:{ports['7070']}"
        assert daemon.stop() == 0


# The runbook.


def shell_commands(page: str) -> Iterator[Sequence[str]]:
    """The commands of Perdure in a page, without their comments."""
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["perdure"]:
                yield words[1:]
    for words in re.findall(r"`perdure ([^`]*)`", page):
        yield shlex.split(words.replace("…", ""))


def test_the_commands_of_the_runbook_are_there_with_their_flags() -> None:
    found = list(shell_commands(RUNBOOK))
    assert len(found) >= 6
    for words in found:
        known = {flag for option in command_of(words).params for flag in option.opts}
        assert {word for word in words if word.startswith("-") and word != "-"} <= known, words


def test_every_metric_that_the_runbook_names_is_one() -> None:
    code = "".join(path.read_text() for path in (ROOT / "telemetry").rglob("*.py"))
    named = set(re.findall(r"perdure_[a-z_]+[a-z]", RUNBOOK))
    assert len(named) >= 9
    assert not [name for name in named if f'"{name.removesuffix("_total")}"' not in code]


@pytest.mark.skipif(not ALERTS.exists(), reason="there are no rules yet")
def test_the_runbook_says_of_each_alarm_what_to_do() -> None:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    alarms = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    assert set(re.findall(r"^### (Perdure\w+)$", RUNBOOK, re.MULTILINE)) == alarms
