"""The route that serves the descriptions of the management API and of Dapr's routes.

The rule: a document is made once, at its first request.

`http/management/app.py` adds the route.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response

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
        dapr: The description of Dapr's routes.
    """

    def __init__(self, endpoints: Sequence[Endpoint], dapr: dict[str, Any], *, version: str, secured: bool) -> None:
        # Made at the first request: at the start it would take most of the time that the API needs.
        self.makers: dict[str, Callable[[], dict[str, Any]]] = {
            "management": partial(management_document, endpoints, version=version, secured=secured),
            "dapr": lambda: dapr,
        }
        self.made: dict[str, bytes] = {}

    async def get_openapi(self, call: ManagementCall) -> Response:
        """Answer with the OpenAPI document that `of` names."""
        which = call.query.choice("of", "management", list(self.makers))
        if which not in self.made:
            self.made[which] = msgspec.json.encode(self.makers[which]())
        return Response(self.made[which], media_type=JSON)
