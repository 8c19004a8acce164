"""The login and the logout of a browser: a token is exchanged for a cookie.

The rule: only failed logins slow later logins down, by address.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.responses import Response

from ....api.management.session import Login
from ....api.tokens import Tokens
from ....api.words import ErrorAnswer, Refusal
from ...auth import TOKEN_UNKNOWN, WRITE_BY_COOKIE
from ...session_cookie import cookie_value, set_cookie
from ..call import ManagementCall
from ..endpoint import PREFIX, Endpoint, Success

FAILURES_MAX = 5  # failures of one address without a delay
FAILURE_S = 5.0  # after this time one more failure is allowed
ADDRESSES_MAX = 4096

LOGIN_TOO_OFTEN = ErrorAnswer(
    429, "ERR_LOGIN_TOO_OFTEN", "too many logins have failed from this address; try again in {seconds} s"
)

LOGIN = Endpoint(
    "log_in",
    "POST",
    "/session",
    "session",
    "Log a browser in",
    (Success(204, "The answer sets a cookie that opens `/api/v1` for twelve hours; without tokens it sets none"),),
    errors=(TOKEN_UNKNOWN, WRITE_BY_COOKIE, LOGIN_TOO_OFTEN),
    body=Login,
    secured=False,
)
LOGOUT = Endpoint(
    "log_out", "DELETE", "/session", "session", "Log a browser out", (Success(204, "The cookie was deleted"),)
)


class SessionRoutes:
    """The handlers of the login.

    Args:
        tokens: None: no login is needed.
        now_s: The clock: Unix time in seconds.
    """

    def __init__(self, tokens: Tokens | None, *, now_s: Callable[[], float] = time.time) -> None:
        self.tokens = tokens
        self.now_s = now_s
        self.throttle = Throttle()

    async def log_in(self, call: ManagementCall) -> Response:
        """Answer a known token with a session cookie.

        Raises:
            Refusal: The token is unknown, the address must wait, or the request comes from another page.
        """
        request = call.request
        # A page of another site must not use up the failures of its reader's address.
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Refusal(WRITE_BY_COOKIE)
        login = await call.body(Login)
        if self.tokens is None:
            return Response(status_code=204)
        address = request.client.host if request.client is not None else ""
        now_s = self.now_s()
        if (wait_s := self.throttle.wait_s(address, now_s)) > 0:
            raise Refusal(LOGIN_TOO_OFTEN, seconds=round(wait_s + 0.5))
        value = cookie_value(self.tokens, login.token.encode(), now_s=int(now_s))
        if value is None:
            self.throttle.failed(address, now_s)
            raise Refusal(TOKEN_UNKNOWN)
        return cookie_answer(call, value)

    async def log_out(self, call: ManagementCall) -> Response:
        """End the session of this browser."""
        return cookie_answer(call, "", lasts_s=0)


def cookie_answer(call: ManagementCall, value: str, **more: int) -> Response:
    """Answer with a cookie."""
    scope = call.request.scope
    root = scope.get("root_path", "")
    header = set_cookie(scope, value, path=f"{root}{PREFIX}", **more)
    return Response(status_code=204, headers={"set-cookie": header, "cache-control": "no-store"})


class Throttle:
    """Limits the failures of each address: FAILURES_MAX at once, and then one in FAILURE_S."""

    def __init__(self) -> None:
        self._empty_s: OrderedDict[str, float] = OrderedDict()  # when each one's failures have expired, by last failure

    def wait_s(self, address: str, now_s: float) -> float:
        """Return how long an address has to wait, in seconds; 0 or less: not at all."""
        return self._empty_s.get(address, now_s) - now_s - (FAILURES_MAX - 1) * FAILURE_S

    def failed(self, address: str, now_s: float) -> None:
        """Count a failure of an address."""
        self._empty_s[address] = max(self._empty_s.get(address, now_s), now_s) + FAILURE_S
        self._empty_s.move_to_end(address)
        if len(self._empty_s) > ADDRESSES_MAX:
            self._empty_s.popitem(last=False)
