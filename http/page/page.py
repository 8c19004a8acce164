"""The page at `/ui/`: a shell and the files that it loads. A browser renders everything else.

The rule: these files contain no data of the daemon. The page gets all data from `/api/v1`, with the login of its
reader. No other script runs, and no script makes markup out of data.

The path of each file contains a hash of all files, so that a browser requests it once, and never mixes two releases.

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
# These are no modules of the page, so the shell does not preload them as modules.
NO_MODULES = ("core/live_worker.js", "core/paint.js")

COMPRESSED_BYTES_MIN = 512  # compression does not shrink smaller files

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
        """The media type of the file, by its extension."""
        return TYPES[Path(self.name).suffix]

    @cached_property
    def etag(self) -> str:
        """The entity tag of its content, with the quotes."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'

    @cached_property
    def gzipped(self) -> bytes:
        """Its content, compressed; the bytes are the same each time."""
        return gzip.compress(self.body, mtime=0)


class PageRoutes:
    """The handlers of the page.

    Args:
        folder: The folder of the files.
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
        """Answer with the shell, which is the same for every view."""
        root = escape(request.scope.get("root_path", ""))
        base = f"{root}/ui/static/{self.release}"
        modules = [name for name in self.assets if name.endswith(".js") and name not in NO_MODULES]
        links = "\n".join(f'<link rel="modulepreload" href="{base}/{escape(name)}">' for name in modules)
        text = self.shell.replace("{base}", base).replace("{modules}", links)
        return given(Asset(SHELL, text.encode()), request, ASK_EACH_TIME)

    async def file(self, request: Request) -> Response:
        """Answer with a file."""
        asset = self.assets.get(request.path_params["name"])
        if asset is None:
            return Response("there is no such file in this release of the page", status_code=404, headers=HEADERS)
        # The page may come from another host with another release. Then the browser must not cache this answer.
        own = request.path_params["release"] == self.release
        return given(asset, request, NEVER_ASK_AGAIN if own else ASK_EACH_TIME)


def given(asset: Asset, request: Request, caching: str) -> Response:
    """Answer with a file, or with 304 if the browser has it."""
    headers = {**HEADERS, "etag": asset.etag, "cache-control": caching, "vary": "accept-encoding"}
    if asset.etag in tags_of(request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    body = asset.body
    if len(body) >= COMPRESSED_BYTES_MIN and accepts_gzip(request.headers.get("accept-encoding", "")):
        body = asset.gzipped
        headers["content-encoding"] = "gzip"
    return Response(body, headers=headers, media_type=asset.media_type)


def tags_of(header: str) -> set[str]:
    """Return the tags of an If-None-Match for the weak comparison (RFC 9110, 13.1.2)."""
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


def accepts_gzip(header: str) -> bool:
    """Return whether an Accept-Encoding accepts gzip."""
    for part in header.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
