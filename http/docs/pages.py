"""The pages for browsers that need no token: the landing page, and the reference of the API.

The rule: they contain no secret. They get the facts of the daemon that they show from the API, with the login of the
reader.

Their files are in `http/docs/static/` and load nothing from elsewhere. The security policy in their headers lets no
other script run.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...api.control import DaemonControl
from ..auth import has_shown_token
from ..path import route

STATIC = Path(__file__).parent / "static"

OF_DAPR = "<!-- Dapr -->"
OF_PAGE = "<!-- page -->"

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


class Pages:
    """The handlers of the pages.

    Args:
        control: Says whether the daemon accepts work now, and the version of Perdure, which the landing page shows to
            callers with a token.
        dapr: Whether Dapr's routes are served too; if not, the pages do not link to them.
        ui: Whether the page at `/ui/` is served; if not, the pages do not link to it.
    """

    def __init__(self, control: DaemonControl, *, dapr: bool = True, ui: bool = True) -> None:
        self.control = control
        left_out = [mark for mark, there in ((OF_DAPR, dapr), (OF_PAGE, ui)) if not there]
        self.files = {path.name: lines_of(path, left_out) for path in STATIC.iterdir()}

    def routes(self) -> list[Route]:
        """The routes of the landing page, the reference and its files."""
        return [
            route("/", "GET", self.home),
            route("/docs", "GET", self.docs),
            *(route(f"/docs/{name}", "GET", self.file) for name in self.files if not name.endswith(".html")),
        ]

    async def home(self, request: Request) -> Response:
        """Show whether the daemon is ready, with links to the other pages."""
        ready = self.control.ready()
        known = has_shown_token(request.scope)
        return page(
            self.files["home.html"],
            request,
            ready="ready" if ready else "not ready",
            state="get" if ready else "delete",
            version=f" Its version is {escape(self.control.runtime_version)}." if known else "",
        )

    async def docs(self, request: Request) -> Response:
        """Show the reference, which fetches the document itself."""
        return page(self.files["docs.html"], request)

    async def file(self, request: Request) -> Response:
        """Answer with a file of the pages."""
        name = request.scope["path"].rpartition("/")[2]
        return Response(self.files[name], headers=HEADERS, media_type=TYPES[Path(name).suffix])


def lines_of(path: Path, left_out: Sequence[str]) -> str:
    """Read a file without the lines for routes that are not served. Such a line ends with the mark of its routes.

    Args:
        left_out: The marks of routes that are not served.
    """
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not any(mark in line for mark in left_out)]
    return "".join(kept).replace(OF_DAPR, "").replace(OF_PAGE, "")


def page(template: str, request: Request, **values: str) -> Response:
    """Fill a template in.

    Args:
        values: Trusted or escaped text.
    """
    filled = template
    for name, value in {"root": escape(request.scope.get("root_path", "")), **values}.items():
        filled = filled.replace(f"{{{name}}}", value)
    return Response(filled, headers=HEADERS, media_type="text/html")
