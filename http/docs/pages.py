"""The pages for a browser that need no token: the landing page, and the reference of the API.

The rule: they hold nothing that a stranger may not know. They ask the API for the facts of the daemon that they
show, with the login of the reader.

Their files lie in `http/docs/static/` and load nothing from elsewhere. The policy that is sent with them lets no script
run but these.
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
        control: Says whether the daemon takes work now, and its version, which the landing page tells callers that have
            shown a token.
        dapr: Whether Dapr's routes are there too; else nothing leads to them.
        ui: The same of the page at `/ui/`.
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
        """Say whether the daemon is ready, and where to go from here."""
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
        """Give a file of the pages."""
        name = request.scope["path"].rpartition("/")[2]
        return Response(self.files[name], headers=HEADERS, media_type=TYPES[Path(name).suffix])


def lines_of(path: Path, left_out: Sequence[str]) -> str:
    """Read a file. A line that is of use only beside other routes has their mark at its end.

    Args:
        left_out: The marks whose routes are not there.
    """
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not any(mark in line for mark in left_out)]
    return "".join(kept).replace(OF_DAPR, "").replace(OF_PAGE, "")


def page(template: str, request: Request, **values: str) -> Response:
    """Fill a page in.

    Args:
        values: Text of ours, or escaped.
    """
    filled = template
    for name, value in {"root": escape(request.scope.get("root_path", "")), **values}.items():
        filled = filled.replace(f"{{{name}}}", value)
    return Response(filled, headers=HEADERS, media_type="text/html")
