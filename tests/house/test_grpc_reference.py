"""The reference of gRPC has every call of the services, and the messages as the files have them."""

import runpy
from typing import Any

import pytest

from perdure.rpc.messages import DESCRIPTORS

from ..support.paths import ROOT


@pytest.fixture(scope="module")
def site() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "site" / "protos.py"))


def test_the_page_is_what_the_script_writes(site: dict[str, Any]) -> None:
    hint = "python docs/site/protos.py > docs/reference/grpc.md"
    assert (ROOT / "docs" / "reference" / "grpc.md").read_text() == site["page"](), hint


def test_each_file_is_in_it_and_each_sentence_is_of_a_call(site: dict[str, Any]) -> None:
    assert {path.stem for path in (ROOT / "rpc" / "protos").glob("*.proto")} == set(site["FILES"])
    names = {call.name for _, calls in site["services"]() for call in calls}
    assert all(call.words for _, calls in site["services"]() for call in calls)
    generations = ("", "Alpha1", "Beta1")
    assert [word for word in site["WORDS"] if not {f"{word}{each}" for each in generations} & names] == []


def test_each_call_that_the_daemon_has_is_found(site: dict[str, Any]) -> None:
    # As many as the descriptors have, which the servers are made of.
    described = DESCRIPTORS.read_bytes()
    for service, calls in site["services"]():
        assert service.rpartition(".")[2].encode() in described
        assert all(call.name.encode() in described for call in calls)
    assert {len(calls) for _, calls in site["services"]()} == {17, 24}
