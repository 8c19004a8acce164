"""The route that serves the description of the API, and that of Dapr's routes beside it.

The rule: a document is made once, when it is first asked for.

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
            "`dapr` for the routes of Dapr, which `/openapi.json` describes too",
        ),
    ),
)


class DescriptionRoutes:
    """The handler of the description.

    Args:
        endpoints: All that are served.
        dapr: The description of Dapr's routes.
    """

    def __init__(self, endpoints: Sequence[Endpoint], dapr: dict[str, Any], *, version: str, secured: bool) -> None:
        # Made when it is asked for: it would be most of what the API adds to the time of a start.
        self.makers: dict[str, Callable[[], dict[str, Any]]] = {
            "management": partial(management_document, endpoints, version=version, secured=secured),
            "dapr": lambda: dapr,
        }
        self.made: dict[str, bytes] = {}

    async def get_openapi(self, call: ManagementCall) -> Response:
        """Answer the OpenAPI document that `of` names. Each is made once."""
        which = call.query.choice("of", "management", list(self.makers))
        if which not in self.made:
            self.made[which] = msgspec.json.encode(self.makers[which]())
        return Response(self.made[which], media_type=JSON)
