"""Completes the arguments of commands on instances: statuses, and the daemon's ids, names and events.

The rule: an error gives no suggestions and prints nothing: the daemon cannot be reached, is slow, or requires another
token. A text that a shell would not read as one word is not suggested.

`options.py` and the commands set these functions for their parameters; click calls them.
"""

import shlex
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from ...actors.errors import PerdureError
from ...client.connect import DEFAULT_SERVER
from ...runtime.history.status import STATUS_WORDS
from .connection import Where, token_of

if TYPE_CHECKING:
    from ...client.remote_client import RemoteClient

PATIENCE_S = 1.0  # because a person waits
OFFERED_MAX = 50
NEGATION = "!"

Ask = Callable[["RemoteClient", click.Context, str], Awaitable[Iterable[CompletionItem]]]
Suggest = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def statuses(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Suggest statuses for the last word of a list."""
    before, last = last_of(begun)
    return [CompletionItem(before + word.lower()) for word in STATUS_WORDS if word.lower().startswith(last.lower())]


async def _ids(client: "RemoteClient", ctx: click.Context, begun: str) -> Iterable[CompletionItem]:
    page = await client.list(id_prefix=begun, order="-updated", limit=OFFERED_MAX)
    given = ctx.params.get("ids") or ()
    return [CompletionItem(item.id, help=f"{item.name} {item.status}") for item in page.items if item.id not in given]


async def _names(client: "RemoteClient", ctx: click.Context, begun: str) -> Iterable[CompletionItem]:
    before, last = last_of(begun)
    counted = await client.count(by="name")
    names = sorted({group.name for group in counted.counts if isinstance(group.name, str)})
    return [CompletionItem(before + name) for name in names if name.startswith(last)]


async def _workflows(client: "RemoteClient", ctx: click.Context, begun: str) -> Iterable[CompletionItem]:
    there = await client.report("workflows")
    return [CompletionItem(each.name) for each in there.items if each.name.startswith(begun)]


async def _events(client: "RemoteClient", ctx: click.Context, begun: str) -> Iterable[CompletionItem]:
    described = await client.describe(ctx.params["instance_id"])
    waits = described.waiting_for if described is not None else ()
    names = {each.name for each in waits or () if each.kind == "event" and each.name is not None}
    return [CompletionItem(name) for name in sorted(names) if name.startswith(begun)]


async def _operations(client: "RemoteClient", ctx: click.Context, begun: str) -> Iterable[CompletionItem]:
    there = await client.operations(limit=OFFERED_MAX)
    return [
        CompletionItem(each.id, help=f"{each.action} {each.state}") for each in there.items if each.id.startswith(begun)
    ]


def _asking(ask: Ask) -> Suggest:
    """Make a function for click from a function that asks the daemon."""

    def suggest(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        try:
            return [item for item in _asked(ask, ctx, begun) if is_word(item.value)]
        except (PerdureError, click.ClickException, OSError, LookupError, ValueError):
            return []

    return suggest


def _asked(ask: Ask, ctx: click.Context, begun: str) -> Iterable[CompletionItem]:
    import anyio  # noqa: PLC0415  the completion of a command's name does not need it

    where = Where(ctx.params.get("server") or DEFAULT_SERVER, token_of(ctx.params.get("token_file")))

    client = where.client()  # before the time is measured: a slow disk is not a slow daemon

    async def main() -> Iterable[CompletionItem]:
        async with client:
            with anyio.move_on_after(PATIENCE_S):
                return await ask(client, ctx, begun)
        return ()

    return anyio.run(main)


ids, names, workflows = _asking(_ids), _asking(_names), _asking(_workflows)
events, operations = _asking(_events), _asking(_operations)


def last_of(begun: str) -> tuple[str, str]:
    """Split a list into the part before its last word, and the begun last word."""
    before, comma, last = begun.rpartition(",")
    if not comma and last.startswith(NEGATION):
        return NEGATION, last.removeprefix(NEGATION)
    return before + comma, last


def is_word(text: str) -> bool:
    """Whether a shell reads a text as this word. A list may begin with a `!`, which was typed already."""
    plain = text.removeprefix(NEGATION)
    return bool(plain) and plain.isprintable() and shlex.quote(plain) == plain
