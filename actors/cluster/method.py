"""Methods: functions that hosts of a daemon call on each other, beside sending messages to actors.

The rule: a method is a name, the types of its arguments and the type of its result. Both ends have the same definition.

Code that answers a method gives it to `Peers.answer`, and code that calls it to `Peers.ask_all`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from .protocol import FrameRefused, plain


class HostMethod:
    """A method that hosts call on each other.

    Args:
        name: Its name on the wire; the names of methods differ.
        arguments: The types of its arguments, in order.
        result: The type of its result.
    """

    def __init__(self, name: str, arguments: Sequence[Any], result: Any) -> None:
        self.name = name
        self.arguments = tuple(arguments)
        self.result = result
        self._encode = msgspec.msgpack.Encoder(enc_hook=plain).encode
        # Made at the first use: a daemon of one host never uses them.
        self._of_arguments: msgspec.msgpack.Decoder[Any] | None = None
        self._of_result: msgspec.msgpack.Decoder[Any] | None = None

    def __repr__(self) -> str:
        return f"HostMethod({self.name!r})"

    def pack_arguments(self, arguments: Sequence[Any]) -> Raw:
        """Pack the arguments of a call."""
        assert len(arguments) == len(self.arguments), (self, arguments)
        return Raw(self._encode(arguments))

    def arguments_in(self, packed: Raw) -> Sequence[Any]:
        """Read the arguments of a call.

        Raises:
            FrameRefused: The arguments do not have the method's types.
        """
        if self._of_arguments is None:
            types = tuple[self.arguments] if self.arguments else tuple[()]  # type: ignore[name-defined]
            self._of_arguments = msgspec.msgpack.Decoder(types)
        return self._read(self._of_arguments, packed)  # type: ignore[no-any-return]

    def pack_result(self, result: Any) -> Raw:
        """Pack the value that the method has returned."""
        return Raw(self._encode(result))

    def result_in(self, packed: Raw) -> Any:
        """Read the value that the method has returned.

        Raises:
            FrameRefused: The value does not have the method's result type.
        """
        if self._of_result is None:
            self._of_result = msgspec.msgpack.Decoder(self.result)
        return self._read(self._of_result, packed)

    def _read(self, decoder: msgspec.msgpack.Decoder[Any], packed: Raw) -> Any:
        try:
            return decoder.decode(packed)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise FrameRefused(f"method {self.name!r} is called with, or returns, something else: {error}") from error
