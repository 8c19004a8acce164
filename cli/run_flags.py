"""The flags of `perdure run`, each of which has an environment variable too.

The rule: no other module reads a setting from the environment. A flag overrides the variable `PERDURE_...`, which
overrides Dapr's variable of the same meaning. `cli/config.py` makes the configuration from the values; `perdure daprd`
and `perdure store` have some of these flags, or their variables.
"""

import os
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from ..daemon.config import LIMITS
from .parsing import (
    parse_app_id,
    parse_count,
    parse_count_or_zero,
    parse_host,
    parse_host_names,
    parse_path,
    parse_peer_address,
    parse_port,
    parse_processes,
    parse_retention,
    parse_seconds,
    parse_size,
    parse_tokens,
)


class Setting(click.Option):
    """A flag that has an environment variable too. Errors name the one that was used.

    Args:
        flag: The flag with its dashes; the name of the variable is made from it.
        names: The option's name in Python, if it differs from the flag.
        dapr: Dapr's variable with the same meaning.
        parse: Parses the text (`cli/parsing.py`).
        refuses_empty: Whether an empty variable is an error. Otherwise it counts as not set.
        rest: Passed on to click.
    """

    def __init__(
        self,
        flag: str,
        *names: str,
        dapr: str | None = None,
        parse: Callable[[str], Any] | None = None,
        refuses_empty: bool = False,
        **rest: Any,
    ) -> None:
        own = "PERDURE_" + flag.removeprefix("--").replace("-", "_").upper()
        if parse is not None:
            rest |= {"type": str, "callback": checked(parse)}
        self.variables = [own, dapr] if dapr else [own]  # the first one that is set counts
        self.refuses_empty = refuses_empty
        super().__init__([flag, *names], envvar=self.variables, show_envvar=True, show_default=True, **rest)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the value of the environment variable.

        Raises:
            BadParameter: The variable is empty, and the flag allows no empty value.
        """
        value = super().resolve_envvar_value(ctx)
        if value is None and self.refuses_empty:
            # Usually a script uses an unset variable. See `parse_tokens`.
            for variable in self.variables:
                if variable in os.environ:
                    raise click.BadParameter(
                        "it is set, and empty. Unset it if no value is meant.", param_hint=variable
                    )
        return value

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return the name for errors: the flag, or the environment variable if it has set the value."""
        source = ctx.get_parameter_source(self.name) if ctx and self.name else None
        if source is not ParameterSource.ENVIRONMENT:
            return self.opts[0]
        return next(variable for variable in self.variables if os.environ.get(variable))


def checked(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Make a callback for click from `parse`. A ValueError becomes an error that names the flag or the variable."""

    def callback(_context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        try:
            if isinstance(value, tuple):  # the flag may be given several times
                return tuple(parse(str(each)) for each in value)
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


def data_option(help: str) -> Setting:  # noqa: A002  click's word
    """The flag that names the store."""
    return Setting("--data", parse=parse_path, metavar="PATH", default="./perdure.db", help=help)


DATA_OPTION = data_option(
    "The store: a file, or the address of a PostgreSQL database; :memory: keeps nothing after the end."
)
# The same for commands on a store that exists.
STORE_OPTION = data_option("The store: its file, or the address of its PostgreSQL database.")

RUN_OPTIONS = (
    Setting(
        "--http-port",
        dapr="DAPR_HTTP_PORT",
        parse=parse_port,
        metavar="PORT",
        default=3500,
        help="Port of the HTTP API; 0 picks a free one.",
    ),
    Setting(
        "--grpc-port",
        "grpc_ports",
        dapr="DAPR_GRPC_PORT",
        parse=parse_port,
        multiple=True,
        metavar="PORT",
        default=[50_001],
        help="Port of the gRPC API, for Dapr's SDKs; 0 picks a free one. Each app has a port: give all of them, or the "
        "first.",
    ),
    Setting(
        "--metrics-port",
        parse=parse_port,
        metavar="PORT",
        default=0,
        help="Port of the metrics for Prometheus; 0 serves none. Several processes use this port and the next ones.",
    ),
    Setting("--metrics-open", is_flag=True, help="Serve the metrics without a token, even if the API needs one."),
    Setting(
        "--host",
        parse=parse_host,
        metavar="ADDRESS",
        default="127.0.0.1",
        help="Address to listen on. An address that other machines can reach needs a token.",
    ),
    DATA_OPTION,
    Setting(
        "--durability",
        type=click.Choice(["full", "relaxed"]),
        default="full",
        help="full: an accepted request survives a power cut. relaxed: it only survives a crash of this process.",
    ),
    Setting(
        "--processes",
        parse=parse_processes,
        metavar="COUNT",
        default=1,
        help="Processes that share the work of APP: each has a part of the store in its own file, or is a host on a "
        "PostgreSQL database.",
    ),
    Setting(
        "--app-id",
        "app_ids",
        parse=parse_app_id,
        multiple=True,
        metavar="ID",
        help="The id of an app: of each APP in order, then of apps whose code only workers have. May be given several "
        "times.  [default: the name of the app]",
    ),
    Setting(
        "--api-token",
        "api_tokens",
        dapr="DAPR_API_TOKEN",
        parse=parse_tokens,
        metavar="TOKEN[,TOKEN]",
        refuses_empty=True,
        help="Token that callers must send as dapr-api-token. The process list shows the flag; prefer the variable.",
    ),
    Setting(
        "--api-token-file",
        parse=parse_path,
        metavar="PATH",
        refuses_empty=True,
        help="A file of tokens, one a line: TOKEN or NAME=TOKEN. Read again at SIGHUP.",
    ),
    Setting("--allow-unauthenticated", is_flag=True, help="Listen on any --host without a token."),
    Setting(
        "--allowed-host",
        "allowed_hosts",
        parse=parse_host_names,
        metavar="NAME[,NAME]",
        default="",
        help="Host names with a dot that callers may use without a token; .example.com allows this name and all below "
        "it, * allows any.",
    ),
    Setting("--no-ui", is_flag=True, help="Serve no page at /ui/."),
    Setting(
        "--max-body-size",
        "max_body_bytes",
        parse=parse_size,
        metavar="SIZE",
        help="Largest request body over HTTP and message over gRPC, in bytes or as in 4Mi.  [default: 4Mi and 128Mi]",
    ),
    Setting(
        "--stop-grace",
        "stop_grace_s",
        parse=parse_seconds,
        metavar="SECONDS",
        default=LIMITS.stop_grace_s,
        help="How long running requests and activities, together, may still take when the daemon is stopped.",
    ),
    Setting(
        "--drain",
        "drain_s",
        parse=parse_seconds,
        metavar="SECONDS",
        default=5.0,
        help="How long a host that leaves others on the same database still takes requests after /healthz/ready has "
        "become 503, so that load balancers notice.",
    ),
    Setting(
        "--workflow-step-max",
        "workflow_step_max_s",
        parse=parse_seconds,
        metavar="SECONDS",
        default=10.0,
        help="How long workflow code may block the event loop before its instance is stalled; 0: no limit.",
    ),
    Setting(
        "--activity-step-max",
        "activity_step_max_s",
        parse=parse_seconds,
        metavar="SECONDS",
        default=60.0,
        help="How long an async def activity may block the event loop before its attempt fails; 0: no limit.",
    ),
    Setting(
        "--commit-max",
        "commit_max_s",
        parse=parse_seconds,
        metavar="SECONDS",
        default=5.0,
        help="How long a commit may last before the daemon is unhealthy and refuses new work; 0: no limit.",
    ),
    Setting(
        "--store-patience",
        "store_patience_s",
        parse=parse_seconds,
        metavar="SECONDS",
        default=30.0,
        help="How long commits, reads and the start wait for a PostgreSQL database that does not answer.",
    ),
    Setting(
        "--peer-address",
        parse=parse_peer_address,
        metavar="HOST[:PORT]",
        refuses_empty=True,
        help="The address at which other hosts on the same PostgreSQL database reach this one.  [default: the address "
        "of this machine in its connection to the database, and any free port]",
    ),
    Setting(
        "--activations-max",
        parse=parse_count_or_zero,
        metavar="COUNT",
        default=LIMITS.activations_max,
        help="Instances in memory at once; the others sleep in the store.",
    ),
    Setting(
        "--mailbox-messages-max",
        parse=parse_count,
        metavar="COUNT",
        default=LIMITS.mailbox_messages_max,
        help="Messages that may wait for one instance.",
    ),
    Setting(
        "--activities-max",
        parse=parse_count,
        metavar="COUNT",
        default=LIMITS.activities_max,
        help="Activities written as async def that may run at once.",
    ),
    Setting(
        "--activity-threads-max",
        parse=parse_count,
        metavar="COUNT",
        default=LIMITS.activity_threads_max,
        help="Activities written as plain functions that may run at once, each in a thread.",
    ),
    Setting(
        "--activity-processes-max",
        parse=parse_count,
        metavar="COUNT",
        default=LIMITS.activity_processes_max,
        help='Activities declared with executor="process" that may run at once.',
    ),
    Setting(
        "--turn-commands-warn",
        parse=parse_count,
        metavar="COUNT",
        default=LIMITS.limits.turn_commands_warn,
        help="A workflow that requests more activities, children and timers in one turn is logged.",
    ),
    Setting(
        "--turn-commands-max",
        parse=parse_count,
        metavar="COUNT",
        default=LIMITS.limits.turn_commands_max,
        help="A workflow that requests more activities, children and timers in one turn fails.",
    ),
    Setting(
        "--payload-bytes-warn",
        parse=parse_size,
        metavar="SIZE",
        default="2Mi",
        help="A larger input, result or custom status of a workflow or an activity is logged.",
    ),
    Setting(
        "--payload-bytes-max",
        parse=parse_size,
        metavar="SIZE",
        default="32Mi",
        help="A workflow or an activity with a larger input, result or custom status fails.",
    ),
    Setting(
        "--name-bytes-max",
        parse=parse_size,
        metavar="SIZE",
        default="1Ki",
        help="Longest name of a workflow, an activity or an event, and longest instance ID that a caller may choose.",
    ),
    Setting(
        "--history-events-warn",
        parse=parse_count,
        metavar="COUNT",
        default=LIMITS.limits.history_events_warn,
        help="An instance whose history has more events is logged once; it does not fail.",
    ),
    Setting(
        "--held-events-max",
        parse=parse_count,
        metavar="COUNT",
        default=LIMITS.limits.held_events_max,
        help="Events that are held for an instance while it is suspended or has no worker; more are refused with 429.",
    ),
    Setting(
        "--max-concurrent-workflows",
        parse=parse_count,
        metavar="COUNT",
        help="Turns of workflows that remote workers may have at once.  [default: no limit]",
    ),
    Setting(
        "--max-concurrent-activities",
        parse=parse_count,
        metavar="COUNT",
        help="Activities that remote workers may have at once.  [default: no limit]",
    ),
    Setting(
        "--worker-answer-timeout",
        "worker_answer_timeout_s",
        parse=parse_seconds,
        metavar="SECONDS",
        default=LIMITS.dispatch.answer_timeout_s,
        help="A remote worker that has not answered a workflow's turn after this time is sent it again; 0: never.",
    ),
    Setting(
        "--retention",
        parse=parse_retention,
        metavar="WORD=TIME,...",
        help="How long finished instances are kept (completed=, failed=, terminated=, any=), and the audit (audit=), "
        "as in completed=30m,failed=7d.  [default: for ever]",
    ),
    Setting(
        "--wait-for-workers",
        is_flag=True,
        help="Leave workflows and activities that the app has not registered to remote workers, even before the first "
        "worker has connected.",
    ),
    Setting(
        "--set-aside",
        multiple=True,
        metavar="ID",
        help="Begin no work of this instance until `perdure repair ID release`; may be given several times.",
    ),
    Setting(
        "--always-replay",
        is_flag=True,
        help="For tests of workflow code: rebuild an instance from its history at every turn.",
    ),
    Setting(
        "--trace-turns",
        is_flag=True,
        help="If traces are exported (OTEL_EXPORTER_OTLP_ENDPOINT and so on), make a span for each turn too.",
    ),
    Setting(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
        default="info",
        help="The least severe messages to log.",
    ),
    Setting(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        help="How a message is written to standard error.",
    ),
)
