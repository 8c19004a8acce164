"""No test of the command line sees the variables of the person who runs it."""

import os

import pytest


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("PERDURE_", "DAPR_")):
            monkeypatch.delenv(name)
