"""The page at `/ui/`: a shell and the files that it loads, which a browser makes everything else of.

The rule: nothing of the daemon stands in these files. The page asks `/api/v1` for all that it shows, with the login of
its reader. No script runs but these files, and none of them makes markup out of data.

Each file has a path with a hash of all files in it, so that a browser asks for it once, and never mixes two releases.

`http/app.py` adds the routes unless the page is switched off.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..path import route

STATIC = Path(__file__).parent / "static"
SHELL = "index.html"

TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
# Not modules of the page: the shell does not have the browser fetch them as such.
NO_MODULES = ("core/live_worker.js", "core/paint.js")

COMPRESSED_BYTES_MIN = 512  # it would make smaller files no smaller

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types perdure"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
ASK_EACH_TIME = "no-cache"
NEVER_ASK_AGAIN = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """A file of the page."""

    name: str
    body: bytes

    @property
    def media_type(self) -> str:
        """The type of the file, by the end of its name."""
        return TYPES[Path(self.name).suffix]

    @cached_property
    def etag(self) -> str:
        """The tag of its content, with the quotes."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'

    @cached_property
    def gzipped(self) -> bytes:
        """Its content, compressed: the same bytes each time."""
        return gzip.compress(self.body, mtime=0)


class PageRoutes:
    """The handlers of the page.

    Args:
        folder: With the files.
    """

    def __init__(self, folder: Path = STATIC) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        self.assets = {name: Asset(name, path.read_bytes()) for path in paths if (name := _name(path, folder))}
        self.shell = self.assets.pop(SHELL).body.decode()
        everything = hashlib.sha256(self.shell.encode())
        for asset in self.assets.values():
            everything.update(asset.etag.encode())
        self.release = everything.hexdigest()[:12]

    def routes(self) -> list[Route]:
        """The routes of the page and its files."""
        return [
            route("/ui", "GET", self.open),
            route("/ui/static/{release}/{name:path}", "GET", self.file),
            route("/ui/{view:path}", "GET", self.open),
        ]

    async def open(self, request: Request) -> Response:
        """Give the shell, which is the same for every view."""
        root = escape(request.scope.get("root_path", ""))
        base = f"{root}/ui/static/{self.release}"
        modules = [name for name in self.assets if name.endswith(".js") and name not in NO_MODULES]
        links = "\n".join(f'<link rel="modulepreload" href="{base}/{escape(name)}">' for name in modules)
        text = self.shell.replace("{base}", base).replace("{modules}", links)
        return given(Asset(SHELL, text.encode()), request, ASK_EACH_TIME)

    async def file(self, request: Request) -> Response:
        """Give a file."""
        asset = self.assets.get(request.path_params["name"])
        if asset is None:
            return Response("there is no such file in this release of the page", status_code=404, headers=HEADERS)
        # A page that another host has sent may be of another release: then what it gets here must not stay with it.
        own = request.path_params["release"] == self.release
        return given(asset, request, NEVER_ASK_AGAIN if own else ASK_EACH_TIME)


def given(asset: Asset, request: Request, caching: str) -> Response:
    """Answer with a file; with 304 if the browser has it."""
    headers = {**HEADERS, "etag": asset.etag, "cache-control": caching, "vary": "accept-encoding"}
    if asset.etag in tags_of(request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    body = asset.body
    if len(body) >= COMPRESSED_BYTES_MIN and accepts_gzip(request.headers.get("accept-encoding", "")):
        body = asset.gzipped
        headers["content-encoding"] = "gzip"
    return Response(body, headers=headers, media_type=asset.media_type)


def tags_of(header: str) -> set[str]:
    """The tags of an If-None-Match, whose comparison is the weak one (RFC 9110, 13.1.2)."""
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


def accepts_gzip(header: str) -> bool:
    """Return whether an Accept-Encoding names gzip, and not to refuse it."""
    for part in header.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
