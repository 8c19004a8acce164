"""The errors of a client of a daemon, as a tree, and the error for each answer of a daemon.

PerdureError
├── ServerUnreachable              no answer has arrived
├── ServerAddressInvalid           the address of the server is invalid
├── TokenInvalid                   the token has invalid characters
├── ClientClosed                   the client is used outside of its `async with`
├── ServerRefused                  the server has answered with an error that has no class here
│   └── TokenRefused               it requires a token, or another one
├── IdHeld                         an InstanceExists, with the words of the server
└── InstanceNotFound, InstanceExists, …   an engine in the same process raises them too (`runtime/errors.py`)

The rule: a program catches the same errors of an embedded engine and of a daemon.
"""

from collections.abc import Callable, Mapping

from ..actors.errors import PerdureError
from ..runtime.errors import InstanceExists, InstanceNotFound, InstanceStalled, InstanceUnfinished


class ServerUnreachable(PerdureError):
    """No answer has arrived: no server listens there, or the connection broke."""

    def __init__(self, server: str, why: str, *, sent: bool) -> None:
        super().__init__(server, why, sent)
        self.server = server
        self.why = why
        self.sent = sent  # True: the request may have arrived

    def __str__(self) -> str:
        done = "it may have happened" if self.sent else "nothing of this request was done"
        return (
            f"{self.server} cannot be reached: {self.why}; {done}. Is `perdure run` running there? Another address is "
            "given with --server or PERDURE_SERVER."
        )


class ServerAddressInvalid(PerdureError):
    """The address of a server is invalid."""

    def __init__(self, server: str, why: str) -> None:
        super().__init__(server, why)
        self.server = server
        self.why = why

    def __str__(self) -> str:
        return f"{self.server!r} is no address of a server: {self.why}. It looks like http://127.0.0.1:3500."


class TokenInvalid(PerdureError):
    """A given token has invalid characters. The error does not show the token."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position  # of the first invalid character, from 1

    def __str__(self) -> str:
        return (
            "this text cannot be an API token: a token has printable ASCII characters only, and character "
            f"{self.position} is none. Was it copied together with the end of its line?"
        )


class ClientClosed(PerdureError):
    """The client is used outside of its `async with`."""

    def __str__(self) -> str:
        return (
            "this client is not open; nothing of this request was done. Use it inside of "
            "`async with perdure.connect(...) as client:`."
        )


class ServerRefused(PerdureError):
    """The server has answered with an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status  # of HTTP
        self.code = code  # the `errorCode`; empty if the answer is not Perdure's
        self.message = message

    def __str__(self) -> str:
        return self.message


class TokenRefused(ServerRefused):
    """The server requires a token, or another one."""

    def __str__(self) -> str:
        return (
            f"{self.message} Give a token with --token-file or PERDURE_API_TOKEN; in Python, connect(..., token=...)."
        )


class IdHeld(InstanceExists):
    """Another instance has the id of a new one; the message of the server describes it."""

    def __init__(self, instance_id: str, message: str) -> None:
        super().__init__(instance_id)
        self.args = (instance_id, message)
        self.message = message

    def __str__(self) -> str:
        return self.message


# By `errorCode`; each is made from the id of the instance in the request.
OF_INSTANCES: Mapping[str, Callable[[str], PerdureError]] = {
    "ERR_INSTANCE_ID_NOT_FOUND": InstanceNotFound,
    "ERR_INSTANCE_NOT_FOUND": InstanceNotFound,
    "ERR_INSTANCE_UNFINISHED": InstanceUnfinished,
    "ERR_INSTANCE_STALLED": InstanceStalled,
}


def error_of(status: int, code: str, message: str, *, instance_id: str | None) -> PerdureError:
    """Return the error for an answer.

    Args:
        status: The status of the answer.
        code: The `errorCode`; empty if the answer has none.
        message: The `message`, or the text of the answer.
        instance_id: The instance in the request; None: there is none.
    """
    if status in (401, 403):
        return TokenRefused(status, code, message)
    if instance_id is not None and code == "ERR_INSTANCE_EXISTS":
        return IdHeld(instance_id, message)
    if instance_id is not None and (kind := OF_INSTANCES.get(code)) is not None:
        error = kind(instance_id)
        error.add_note(message)
        return error
    return ServerRefused(status, code, message)
