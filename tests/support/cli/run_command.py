"""A command line of `perdure run`, parsed in this process."""

from collections.abc import Sequence

import click
import pytest

from perdure.cli.config import apps_of, build_config
from perdure.cli.run_flags import RUN_OPTIONS
from perdure.daemon.config import Config


def configure(*flags: str, target: str | None = None, targets: Sequence[str] = ()) -> Config:
    given = (target,) if target is not None else tuple(targets)
    command = click.Command(
        "run",
        params=list(RUN_OPTIONS),
        callback=lambda **values: build_config(**apps_of(targets=given, **values)),
    )
    config = command.main(list(flags), standalone_mode=False)
    assert isinstance(config, Config)
    return config


def refusal_of(*flags: str, target: str | None = None) -> str:
    with pytest.raises(click.UsageError) as refusal:
        configure(*flags, target=target)
    return refusal.value.format_message()
