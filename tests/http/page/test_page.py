"""The page is served completely, with a policy that lets no other script run, and its files are requested once."""

import gzip
import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from perdure.http.auth import TokenAuth
from perdure.http.page.page import STATIC, TYPES, PageRoutes, accepts_gzip
from perdure.http.path import RawPath

from ...support.doors.fake_facade import ask

GZIPPED_BYTES_MAX = 120 * 1024


def page() -> Starlette:
    return Starlette(routes=PageRoutes().routes(), middleware=[Middleware(RawPath)])


def files_of(shell: str) -> list[str]:
    """The addresses that the shell loads."""
    return re.findall(r'(?:href|src)="([^"]+)"', shell)


@pytest.mark.parametrize("path", ["/ui", "/ui/", "/ui/instances", "/ui/instances/a%2Fb", "/ui/instances/%F0%9F%8D%8B"])
def test_each_view_gets_the_same_shell(path: str) -> None:
    app = page()
    response = ask(app, "GET", path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.text == ask(app, "GET", "/ui").text


def test_all_that_the_shell_loads_is_there() -> None:
    app = page()
    addresses = files_of(ask(app, "GET", "/ui").text)
    assert len(addresses) > 40
    for address in addresses:
        response = ask(app, "GET", address)
        assert response.status_code == 200, address
        assert response.headers["content-type"].startswith(TYPES[Path(address).suffix])


def test_all_that_modules_import_is_there_and_is_a_relative_path() -> None:
    for file in STATIC.rglob("*.js"):
        imported = re.findall(r'^(?:import|export)\b[^;]*?from\s*"([^"]+)"', file.read_text(), re.MULTILINE)
        for name in imported:
            assert name.startswith("."), (file, name)
            assert (file.parent / name).resolve().is_file(), (file, name)


@pytest.mark.parametrize("path", ["/ui", "{base}/main.js", "{base}/icon.svg", "{base}/nowhere.js"])
def test_each_answer_has_a_policy_that_lets_no_other_script_run(path: str) -> None:
    made = PageRoutes()
    app = Starlette(routes=made.routes())
    policy = ask(app, "GET", path.format(base=f"/ui/static/{made.release}")).headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy


def test_a_file_is_asked_for_once_and_the_shell_each_time() -> None:
    # Given the page,
    made = PageRoutes()
    app = Starlette(routes=made.routes())
    name = f"/ui/static/{made.release}/main.js"
    # when its files are requested, then a browser may keep those with the hash of this release, and not the shell.
    assert "immutable" in ask(app, "GET", name).headers["cache-control"]
    shell = ask(app, "GET", "/ui")
    assert shell.headers["cache-control"] == "no-cache"
    # And a file that a browser has is not sent again.
    for path, etag in (("/ui", shell.headers["etag"]), (name, f'"x", W/{ask(app, "GET", name).headers["etag"]}')):
        again = ask(app, "GET", path, headers={"if-none-match": etag})
        assert (again.status_code, again.content) == (304, b"")
    assert ask(app, "GET", "/ui", headers={"if-none-match": '"other"'}).status_code == 200


def test_a_page_of_another_release_gets_files_and_does_not_keep_them() -> None:
    response = ask(page(), "GET", "/ui/static/000000000000/main.js")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-cache"


def test_a_change_of_any_file_makes_another_release(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("{base} {modules}")
    (tmp_path / "main.js").write_text("1")
    before = PageRoutes(tmp_path).release
    (tmp_path / "main.js").write_text("2")
    assert PageRoutes(tmp_path).release != before


@pytest.mark.parametrize("path", ["/ui/static/x/nowhere.js", "/ui/static/x/index.html", "/ui/static/x/../page.py"])
def test_nothing_else_is_a_file(path: str) -> None:
    response = ask(page(), "GET", path)
    assert response.status_code == 404 or "<div id=" in response.text  # `..` leads to a view


def test_files_are_compressed_for_those_that_take_it() -> None:
    made = PageRoutes()
    app = Starlette(routes=made.routes())
    path = f"/ui/static/{made.release}/main.js"
    plain = ask(app, "GET", path, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    packed = ask(app, "GET", path, headers={"accept-encoding": "br, gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content == (STATIC / "main.js").read_bytes()
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize(
    ("header", "accepted"),
    [("gzip", True), ("br;q=1, GZIP;q=0.5", True), ("*", True), ("", False), ("br", False), ("gzip;q=0", False)],
)
def test_gzip_is_sent_to_those_that_name_it(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_the_whole_page_is_small() -> None:
    weight = sum(len(gzip.compress(path.read_bytes())) for path in STATIC.rglob("*") if path.suffix in (".js", ".css"))
    assert weight < GZIPPED_BYTES_MAX, weight


def test_the_page_works_below_any_root() -> None:
    app = Starlette(routes=[Mount("/tools/perdure", page())])
    addresses = files_of(ask(app, "GET", "/tools/perdure/ui/instances").text)
    assert all(address.startswith("/tools/perdure/ui/static/") for address in addresses)
    assert ask(app, "GET", addresses[0]).status_code == 200


def test_the_page_needs_no_token_and_what_it_shows_does() -> None:
    guarded = Starlette(middleware=[Middleware(RawPath), Middleware(TokenAuth, tokens=("known",))])
    guarded.mount("/", page())
    for path in ("/ui", "/ui/instances/order-1", files_of(ask(page(), "GET", "/ui").text)[0]):
        assert ask(guarded, "GET", path).status_code == 200
    assert ask(guarded, "GET", "/api/v1/instances").status_code == 401


def test_no_file_makes_markup_out_of_data_nor_loads_anything_from_elsewhere() -> None:
    for file in STATIC.rglob("*"):
        if "vendor" in file.parts or not file.is_file():
            continue
        name, text = str(file), file.read_text()
        assert not re.search(
            r"[iI]nnerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text
        ), name
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), file
        if file.suffix == ".html":
            assert not re.search(r"<style|\son\w+=|\sstyle=|<script(?![^>]*\ssrc=)", text), file
