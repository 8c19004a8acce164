"""A command line of `perdure run`, parsed in this process."""

import click
import pytest

from perdure.cli.config import build_config
from perdure.cli.run_flags import RUN_OPTIONS
from perdure.daemon.config import Config


def configure(*flags: str, target: str | None = None) -> Config:
    command = click.Command(
        "run", params=list(RUN_OPTIONS), callback=lambda **values: build_config(target=target, **values)
    )
    config = command.main(list(flags), standalone_mode=False)
    assert isinstance(config, Config)
    return config


def refusal_of(*flags: str, target: str | None = None) -> str:
    with pytest.raises(click.UsageError) as refusal:
        configure(*flags, target=target)
    return refusal.value.format_message()
