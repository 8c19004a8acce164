"""The release is that of the installed package."""

import importlib.metadata

import pytest

from perdure.actors.release import UNKNOWN, own_release


def test_the_release_is_that_of_the_installed_package() -> None:
    assert own_release() == importlib.metadata.version("perdure")


def test_a_source_tree_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert own_release.__wrapped__() == UNKNOWN
