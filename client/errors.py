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
from typing import Any, NamedTuple, Self

from ..actors.errors import PerdureError
from ..runtime.errors import Advice, Advised, InstanceExists, InstanceNotFound, InstanceStalled, InstanceUnfinished


class ServerUnreachable(Advised, PerdureError):
    """No answer has arrived: no server listens there, or the connection broke."""

    def __init__(self, server: str, why: str, *, sent: bool) -> None:
        super().__init__(server, why, sent)
        self.server = server
        self.why = why
        self.sent = sent  # True: the request may have arrived

    def parts(self) -> tuple[str, Advice]:
        done = "it may have happened" if self.sent else "nothing of this request was done"
        return f"{self.server} cannot be reached: {self.why}; {done}.", Advice.FIND_SERVER


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


class Told(NamedTuple):
    """The error in an answer."""

    code: str  # the `errorCode`; empty if the answer has none
    message: str  # the `message`, or the text of the answer
    problem: str = ""  # the message without its advice
    advice: Advice | None = None

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Read the members of an error. Advice of a newer daemon that has no word here is left in the message."""
        code, message, problem = str(said.get("errorCode", "")), str(said["message"]), said.get("problem")
        if isinstance(problem, str) and said.get("advice") in list(Advice):
            return cls(code, message, problem, Advice(said["advice"]))
        return cls(code, message)

    def parts(self) -> tuple[str, Advice | None]:
        """As `Advised.parts`."""
        return (self.message, None) if self.advice is None else (self.problem, self.advice)


class InWordsOfServer(Advised):
    """An error whose text is the message of the server."""

    told: Told

    @property
    def message(self) -> str:
        """The message of the server."""
        return self.told.message

    def parts(self) -> tuple[str, Advice | None]:
        return self.told.parts()

    def __str__(self) -> str:
        return self.message


class ServerRefused(InWordsOfServer, PerdureError):
    """The server has answered with an error."""

    def __init__(self, status: int, code: str, message: str, told: Told | None = None) -> None:
        super().__init__(status, code, message)
        self.status = status  # of HTTP
        self.code = code  # the `errorCode`; empty if the answer is not Perdure's
        self.told = told or Told(code, message)


class TokenRefused(ServerRefused):
    """The server requires a token, or another one."""

    def parts(self) -> tuple[str, Advice]:
        return self.message, Advice.GIVE_TOKEN

    def __str__(self) -> str:
        return Advised.__str__(self)


class IdHeld(InWordsOfServer, InstanceExists):
    """Another instance has the id of a new one; the message of the server describes it."""

    def __init__(self, instance_id: str, told: Told) -> None:
        super().__init__(instance_id)
        self.args = (instance_id, told)
        self.told = told


# By `errorCode`; each is made from the id of the instance in the request.
OF_INSTANCES: Mapping[str, Callable[[str], PerdureError]] = {
    "ERR_INSTANCE_ID_NOT_FOUND": InstanceNotFound,
    "ERR_INSTANCE_NOT_FOUND": InstanceNotFound,
    "ERR_INSTANCE_UNFINISHED": InstanceUnfinished,
    "ERR_INSTANCE_STALLED": InstanceStalled,
}


def error_of(status: int, told: Told, *, instance_id: str | None) -> PerdureError:
    """Return the error for an answer.

    Args:
        status: The status of the answer.
        told: The error in it.
        instance_id: The instance in the request; None: there is none.
    """
    if status in (401, 403):
        return TokenRefused(status, told.code, told.message)
    if instance_id is not None and told.code == "ERR_INSTANCE_EXISTS":
        return IdHeld(instance_id, told)
    if instance_id is not None and (kind := OF_INSTANCES.get(told.code)) is not None:
        error = kind(instance_id)
        error.add_note(told.message)
        return error
    return ServerRefused(status, told.code, told.message, told)
