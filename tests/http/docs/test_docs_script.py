"""The script of the reference page shows a whole description, and requests a token if it needs one."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from perdure.http.dapr.openapi import document
from perdure.http.docs.pages import STATIC
from perdure.http.management.app import ENDPOINTS
from perdure.http.management.openapi import management_document

NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="there is no node to run it")


def shown(tmp_path: Path, described: dict[str, Any], *arguments: str) -> dict[str, Any]:
    """Run the script on a description, and return its output and its requests."""
    assert NODE is not None
    path = tmp_path / "document.json"
    path.write_text(json.dumps(described))
    command = [NODE, str(Path(__file__).with_name("page_in_node.mjs")), str(STATIC / "docs.js"), str(path), *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_it_shows_each_route_and_each_value(tmp_path: Path) -> None:
    described = management_document(ENDPOINTS, version="1", secured=True)
    found = shown(tmp_path, described)
    assert found["fetched"] == ["/root/api/v1/openapi.json"]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert f"{method.upper()} {path}" in found["text"]
            assert operation["summary"] in found["text"]
    for name in described["components"]["schemas"]:
        assert name in found["text"]


def test_it_shows_daprs_routes_too(tmp_path: Path) -> None:
    described = document(version="1", secured=True)
    found = shown(tmp_path, described, "#dapr")
    assert found["fetched"] == ["/root/api/v1/openapi.json?of=dapr"]
    assert all(path in found["text"] for path in described["paths"])


def test_it_opens_what_the_address_names(tmp_path: Path) -> None:
    described = management_document(ENDPOINTS, version="1", secured=False)
    assert shown(tmp_path, described, "#list_instances")["open"]


def test_it_asks_for_a_token_and_shows_what_goes_wrong(tmp_path: Path) -> None:
    assert "This daemon asks for an API token." in shown(tmp_path, {}, "", "401")["text"]
    assert "status 500" in shown(tmp_path, {}, "", "500")["text"]
