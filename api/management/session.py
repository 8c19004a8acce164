"""The struct of a browser's login in the management API.

The rule: it is a record, and decoding a body checks its types.

`http/management/routes/session.py` reads it.
"""

from typing import Annotated

from msgspec import Meta, Struct


class Login(Struct, forbid_unknown_fields=True, kw_only=True):
    """The body with which a browser logs in."""

    token: Annotated[str, Meta(description="An API token")]
