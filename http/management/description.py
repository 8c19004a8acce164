"""The route that serves the description of the API, and that of Dapr's routes beside it.

The rule: a document is made once, when it is first asked for.

`http/management/app.py` adds the route.
"""

from collections.abc import Callable, Sequence
from functools import cache

import msgspec
from starlette.responses import Response

from ...api.control import DaemonControl
from .call import ManagementCall
from .endpoint import JSON, Endpoint, QueryField, Success
from .openapi import management_document

OPENAPI = Endpoint(
    "get_openapi",
    "GET",
    "/openapi.json",
    "daemon",
    "This document",
    (Success(200, "The document", media=(JSON,)),),
    query=(
        QueryField(
            "of",
            {"type": "string", "enum": ["management", "dapr"]},
            "`dapr` for the routes of Dapr, which `/openapi.json` describes too",
        ),
    ),
)


class DescriptionRoutes:
    """The handler of the description.

    Args:
        endpoints: All that are served.
        dapr: Gives the description of Dapr's routes, as JSON.
        control: Says the version.
        secured: Whether callers need a token.
    """

    def __init__(
        self, endpoints: Sequence[Endpoint], dapr: Callable[[], bytes], control: DaemonControl, *, secured: bool
    ) -> None:
        @cache
        def management() -> bytes:  # not before it is asked for: a start need not wait for it
            document = management_document(endpoints, version=control.runtime_version, secured=secured)
            return msgspec.json.encode(document)

        self.documents: dict[str, Callable[[], bytes]] = {"management": management, "dapr": dapr}

    async def get_openapi(self, call: ManagementCall) -> Response:
        """Answer the OpenAPI document that `of` names. Each is made once."""
        which = call.query.choice("of", "management", list(self.documents))
        return Response(self.documents[which](), media_type=JSON)
