"""The probes: a *live* process answers, a *ready* process takes requests; neither needs a token."""

import pytest

from ..support.doors.fake_facade import FakeControl, ask, make_app


@pytest.mark.parametrize("tokens", [(), ("secret",)])
@pytest.mark.parametrize("path", ["/healthz/live", "/healthz/ready"])
def test_a_daemon_that_takes_requests_is_live_and_ready(path: str, tokens: tuple[str, ...]) -> None:
    response = ask(make_app(api_tokens=tokens), "GET", path)
    assert (response.status_code, response.json()) == (200, {"status": path.rpartition("/")[2]})
    assert response.headers["cache-control"] == "no-store"


def test_a_daemon_that_takes_no_requests_is_live_and_says_why_it_is_not_ready() -> None:
    control = FakeControl()
    control.is_ready = False
    app = make_app(control=control)
    assert ask(app, "GET", "/healthz/live").status_code == 200
    response = ask(app, "GET", "/healthz/ready")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.json() == {
        "errorCode": "ERR_NOT_READY",
        "message": "this daemon takes no requests now: it is starting",
    }
