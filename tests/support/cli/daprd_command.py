"""A command line of daprd's, parsed in this process, and the environment for a process of it."""

import os
import sys

import click
import pytest

from perdure.cli.daprd import ParsedCommand, build_daprd_config, daprd
from perdure.daemon.config import Config


def parse(*arguments: str) -> ParsedCommand:
    """Parse a command line to the daemon's configuration."""
    with daprd.make_context("daprd", list(arguments)) as context:
        values = dict(context.params)
        for other in ("install", "version", "build_info"):
            values.pop(other)
        (ignored,) = context.meta.values()
        return build_daprd_config(ignored=ignored, **values)


def configure(*arguments: str) -> Config:
    return parse(*arguments).config


def refusal_of(*arguments: str) -> str:
    with pytest.raises(click.UsageError) as refusal:
        parse(*arguments)
    return refusal.value.format_message()


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **more}
