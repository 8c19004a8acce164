"""The route that serves the descriptions of the management API and of Dapr's routes.

The rule: a document is made once, at its first request.

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
            "`dapr`: the routes of Dapr, which `/openapi.json` describes too",
        ),
    ),
)


class DescriptionRoutes:
    """The handler of the description.

    Args:
        endpoints: All endpoints that are served.
        dapr: Returns the description of Dapr's routes, as JSON.
        control: Says the version of Perdure.
        secured: Whether callers need a token.
    """

    def __init__(
        self, endpoints: Sequence[Endpoint], dapr: Callable[[], bytes], control: DaemonControl, *, secured: bool
    ) -> None:
        @cache
        def management() -> bytes:  # at the first request: the start does not wait for it
            document = management_document(endpoints, version=control.runtime_version, secured=secured)
            return msgspec.json.encode(document)

        self.documents: dict[str, Callable[[], bytes]] = {"management": management, "dapr": dapr}

    async def get_openapi(self, call: ManagementCall) -> Response:
        """Answer with the OpenAPI document that `of` names."""
        which = call.query.choice("of", "management", list(self.documents))
        return Response(self.documents[which](), media_type=JSON)
