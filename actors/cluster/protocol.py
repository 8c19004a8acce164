"""The messages that two hosts of a daemon send each other over a wire.

The rule: a message is a tuple that begins with one of these words and a number,
which the connecting host has chosen for the exchange; the other fields are in
the comments. `actors/cluster/outbound.py` sends `To` and reads `From`, and
`actors/cluster/inbound.py` reads `To` and sends `From`.
"""

from enum import IntEnum


class To(IntEnum):
    """From the host that has connected to the host that listens."""

    ASK = 0  # number, address, body: a message to an actor, whose reply is the ANSWER
    BEGIN = 1  # number, address, body: the same, to an actor whose address was just made up
    POST = 2  # number, address, body: a message to an actor; the RECEIPT follows once a commit holds it
    CALL = 3  # number, method, arguments: the ANSWER is the value that the method returns
    WATCH = 4  # number, address: begin to send CHANGED
    UNWATCH = 5  # number of the WATCH that ends


class From(IntEnum):
    """From the host that listens to the host that has connected; the number is that of the request."""

    ANSWER = 0  # number, value
    REFUSAL = 1  # number, error
    RECEIPT = 2  # number
    CHANGED = 3  # number, record or None, deleted: a commit has changed a watched actor
