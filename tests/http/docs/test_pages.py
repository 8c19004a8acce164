"""The pages show only public facts, load nothing from elsewhere, and let no other script run."""

import re

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Mount, Route

from perdure.http.auth import TokenAuth
from perdure.http.docs.pages import OF_DAPR, STATIC, Pages
from perdure.http.path import RawPath

from ...support.doors.fake_facade import FakeControl, ask


def pages(*, ready: bool = True, version: str = "1.2.3", dapr: bool = True) -> Starlette:
    control = FakeControl()
    control.is_ready, control.runtime_version = ready, version
    return Starlette(routes=Pages(control, dapr=dapr).routes())


@pytest.mark.parametrize(("ready", "text"), [(True, "<strong>ready</strong>"), (False, "<strong>not ready</strong>")])
def test_the_landing_page_says_whether_the_daemon_is_ready_and_where_to_go(ready: bool, text: str) -> None:
    response = ask(pages(ready=ready), "GET", "/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert text in response.text
    assert {"/docs", "/api/v1/openapi.json", "/openapi.json", "/v1.0/healthz"} <= set(links(response.text))


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ({}, False),
        ({"dapr-api-token": "known"}, True),
        ({"authorization": "Bearer known"}, True),
        ({"dapr-api-token": "wrong"}, False),
        ({"authorization": "Basic known"}, False),
    ],
)
def test_the_version_is_told_to_those_that_have_shown_a_token(headers: dict[str, str], shown: bool) -> None:
    # Given pages of a daemon that requires a token, and of a daemon that requires none,
    guarded = Starlette(middleware=[Middleware(TokenAuth, tokens=("known",))])
    guarded.mount("/", pages(version="<1.2.3>"))
    # when the landing page is requested, then it is served in each case, with the version for a known token only.
    for app, expected in ((guarded, shown), (pages(version="<1.2.3>"), False)):
        response = ask(app, "GET", "/", headers=headers)
        assert response.status_code == 200
        assert ("&lt;1.2.3&gt;" in response.text, "version" in response.text) == (expected, expected)


def test_nothing_leads_to_daprs_routes_where_there_are_none() -> None:
    without = pages(dapr=False)
    for path in ("/", "/docs"):
        text = ask(without, "GET", path).text
        assert not [link for link in links(text) if "v1.0" in link or "#dapr" in link or link == "/openapi.json"]
        assert "/api/v1/openapi.json" in text
        for shown in (text, ask(pages(), "GET", path).text):
            assert OF_DAPR not in shown


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/docs.js", "/docs/page.css"])
def test_each_file_comes_with_a_policy_that_lets_no_other_script_run(path: str) -> None:
    response = ask(pages(), "GET", path)
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"


def test_the_types_of_files_are_those_that_browsers_ask_for() -> None:
    types = {name: ask(pages(), "GET", f"/docs/{name}").headers["content-type"] for name in ("docs.js", "page.css")}
    assert types == {"docs.js": "text/javascript; charset=utf-8", "page.css": "text/css; charset=utf-8"}


@pytest.mark.parametrize("path", ["/docs/docs.html", "/docs/home.html", "/docs/../pages.py", "/docs/nowhere.js"])
def test_nothing_else_is_a_file(path: str) -> None:
    assert ask(pages(), "GET", path).status_code == 404


def test_no_page_loads_anything_from_elsewhere_nor_has_a_script_or_a_style_in_it() -> None:
    for file in STATIC.iterdir():
        text = file.read_text()
        assert not re.search(r"https?://|//\w+\.\w+/", text), file
        if file.suffix == ".html":
            assert not re.search(r"<style|\son\w+=|\sstyle=|<script(?![^>]*\ssrc=)", text), file
        if file.suffix == ".js":
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), file


def test_below_the_root_of_another_app_all_links_stay_below_it() -> None:
    # Given the pages in an app that has mounted them,
    outer = Starlette(routes=[Mount("/my app", RawPath(pages())), Route("/", lambda request: Response("outer"))])
    # when the pages are requested,
    for path in ("/my%20app/", "/my%20app/docs"):
        text = ask(outer, "GET", path).text
        # then each link, style and script leads to one of them.
        assert links(text)
        assert all(link.startswith("/my%20app/") for link in links(text)), links(text)


def links(page: str) -> list[str]:
    return re.findall(r'(?:href|src)="([^"]*)"', page)
