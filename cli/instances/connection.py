"""The shared parts of the commands on a running daemon: the connection, and the exit codes.

The rule: a command that fails prints the id and the error on standard error, and its exit code is the kind of the
error.
"""

import math
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from ...actors.errors import PerdureError
from ...client.connect import DEFAULT_SERVER
from .output import lines_of, write_line

if TYPE_CHECKING:
    from ...client.remote_client import RemoteClient

T = TypeVar("T")

DONE = 0
FAILED = 1  # the instance has failed, or some of several instances have
USAGE = 2
NOT_FOUND = 3
REFUSED = 4
UNREACHABLE = 5
TIME_OVER = 6

EXIT_CODES = (
    (DONE, "done"),
    (FAILED, "the instance has failed, or some of several instances have"),
    (USAGE, "the command line is wrong"),
    (NOT_FOUND, "there is no such instance"),
    (REFUSED, "the daemon has refused the request"),
    (UNREACHABLE, "the daemon cannot be reached"),
    (TIME_OVER, "the time is over"),
)

PATIENCE_S = 60.0  # for a daemon that was reached before and cannot be reached now
AGAIN_S = 0.5

TOKEN_VARIABLES = ("PERDURE_API_TOKEN", "DAPR_API_TOKEN")


class CommandEnded(click.ClickException):
    """The end of a command with an exit code and a sentence."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(lines_of(message))
        vars(self)["exit_code"] = exit_code  # in click it is a constant of the class


class Where(NamedTuple):
    """The address and the token of a daemon, and the app."""

    server: str
    token: str | None
    app_id: str | None = None  # None: the first app of the daemon

    def client(self) -> "RemoteClient":
        """Make a client of the daemon."""
        from ...client.remote_client import RemoteClient  # noqa: PLC0415  `--help` needs no HTTP
        from ...client.server import Server  # noqa: PLC0415

        return RemoteClient(Server(self.server, self.token, self.app_id))


SERVER_OPTIONS = (
    click.Option(
        ["--server"],
        envvar="PERDURE_SERVER",
        default=DEFAULT_SERVER,
        show_default=True,
        show_envvar=True,
        metavar="URL",
        help="The HTTP address of the daemon.",
    ),
    click.Option(
        ["--token-file"],
        envvar="PERDURE_TOKEN_FILE",
        show_envvar=True,
        metavar="FILE",
        help="The first token in FILE opens the API. Without it PERDURE_API_TOKEN does, or DAPR_API_TOKEN.",
    ),
    click.Option(
        ["--app", "app_id"],
        envvar="PERDURE_APP",
        show_envvar=True,
        metavar="ID",
        help="The app of the instances.  [default: the first app of the daemon]",
    ),
)


class DaemonCommand(click.Command):
    """A command on a daemon. Its function gets a `Where` in place of the options of the connection.

    Args:
        example: A command line, for the help and the reference.
    """

    def __init__(self, *arguments: Any, example: str, **named: Any) -> None:
        named["params"] = [*named.get("params", ()), *SERVER_OPTIONS]
        named["epilog"] = f"\b\nExample:\n  {example}"
        super().__init__(*arguments, **named)
        self.example = example

    def invoke(self, ctx: click.Context) -> Any:
        """Call the function of the command with a `Where` of the daemon's address, the token and the app id."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        token = token_of(ctx.params.pop("token_file"))
        ctx.params["where"] = Where(ctx.params.pop("server"), token, ctx.params.pop("app_id"))
        return super().invoke(ctx)


def daemon_command(
    *params: click.Parameter, example: str, name: str | None = None
) -> Callable[[Callable[..., Any]], DaemonCommand]:
    """Make a command on a daemon; the docstring of the function is the help."""

    def make(function: Callable[..., Any]) -> DaemonCommand:
        return DaemonCommand(
            name or function.__name__,
            callback=function,
            params=list(params),
            help=function.__doc__,
            example=example,
        )

    return make


def token_of(file: str | None) -> str | None:
    """Read the token that opens the API.

    Raises:
        click.UsageError: The file cannot be read, or has no token.
    """
    if file is None:
        return next((os.environ[name] for name in TOKEN_VARIABLES if os.environ.get(name)), None)
    from ...api.token_file import read_tokens  # noqa: PLC0415

    try:
        return read_tokens(file, pipe_s=math.inf)[0].token
    except PerdureError as error:
        raise click.UsageError(f"--token-file: {error}") from None


def ask(where: Where, work: Callable[["RemoteClient"], Awaitable[int | None]]) -> None:
    """Run the work of a command with a client, and end with its exit code.

    Args:
        work: Returns an exit code; None means DONE.

    Raises:
        CommandEnded: The daemon has refused the request, or cannot be reached.
    """
    import anyio  # noqa: PLC0415

    async def main() -> int | None:
        async with where.client() as client:
            return await work(client)

    try:
        code = anyio.run(main)
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except PerdureError as error:
        raise ended(error) from None
    except BrokenPipeError:
        raise  # the reader of the output has closed it; click ends the command silently
    except OSError as error:
        # The client converts all network errors to its own, so this error is of the disk or of the output.
        raise CommandEnded(f"the output cannot be written: {error.strerror or error}", FAILED) from None
    if code:
        sys.exit(code)


async def patiently(work: Callable[[], Awaitable[T]], *, reached: bool) -> T:
    """Do repeatable work, and repeat it while the daemon cannot be reached, during a restart for example.

    Args:
        reached: The daemon was reached before. If not, an unreachable daemon is an error at once.

    Raises:
        PerdureError: Another error, or the daemon could not be reached for `PATIENCE_S`.
    """
    import anyio  # noqa: PLC0415

    deadline_s: float | None = None
    while True:
        try:
            return await work()
        except PerdureError as error:
            reached = reached or getattr(error, "sent", True)
            over = deadline_s is not None and time.monotonic() > deadline_s
            if code_of(error) != UNREACHABLE or not reached or over:
                raise
        deadline_s = deadline_s or time.monotonic() + PATIENCE_S
        await anyio.sleep(AGAIN_S)


def ended(error: PerdureError, instance_id: str | None = None) -> CommandEnded:
    """Return the end of a command for an error."""
    from .advice import worded  # noqa: PLC0415  `--help` needs no errors

    told = getattr(error, "instance_id", instance_id)
    text = next(iter(getattr(error, "__notes__", ())), None) or worded(error)
    return CommandEnded(
        text if not told or told in text or repr(told)[1:-1] in text else f"{told}: {text}", code_of(error)
    )


def code_of(error: PerdureError) -> int:
    """Return the exit code for an error."""
    from ...client.errors import (  # noqa: PLC0415
        ServerAddressInvalid,
        ServerRefused,
        ServerUnreachable,
        TokenInvalid,
    )
    from ...runtime.errors import InstanceNotFound, InvalidRequest  # noqa: PLC0415

    match error:
        case InstanceNotFound():
            return NOT_FOUND
        case ServerUnreachable():
            return UNREACHABLE
        case ServerAddressInvalid() | TokenInvalid() | InvalidRequest():
            return USAGE
        case ServerRefused(status=404, code="ERR_ROUTE_NOT_FOUND" | "ERR_DIRECT_INVOKE" | ""):
            return REFUSED  # an older daemon, or another program
        case ServerRefused(status=404):
            return NOT_FOUND
        case ServerRefused(status=400):
            return USAGE
        case ServerRefused(status=status) if status >= 500:
            return UNREACHABLE
        case _:
            return REFUSED


async def for_each(ids: Sequence[str], work: Callable[[str], Awaitable[str | None]], *, said: bool = True) -> int:
    """Do work on one instance after another, and print the errors.

    Args:
        work: Returns the line to print.

    Returns:
        DONE; for one id the exit code of its error; for several FAILED if the work has failed for some of them.
    """
    codes = []
    for instance_id in ids:
        try:
            done = await work(instance_id)
        except PerdureError as error:
            failed = ended(error, instance_id)
            if failed.exit_code == UNREACHABLE:
                raise
            click.echo(f"Error: {failed.message}", err=True)
            codes.append(failed.exit_code)
        else:
            if said and done is not None:
                write_line(done)
    if not codes:
        return DONE
    return codes[0] if len(ids) == 1 else FAILED


def ids_of(given: Sequence[str]) -> list[str]:
    """Return the ids in a command's arguments; `-` means the ids on standard input, one a line."""
    found: list[str] = []
    for text in given:
        if text == "-":
            found += [line for line in (raw.rstrip("\r\n") for raw in sys.stdin) if line]
        else:
            found.append(text)
    return list(dict.fromkeys(found))
