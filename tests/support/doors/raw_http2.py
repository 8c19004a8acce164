"""A client of gRPC that sends requests and never reads: HTTP/2 by hand, because no library allows that."""

import socket
import struct

SETTINGS, HEADERS, DATA = 4, 1, 0
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW_SIZE = 4


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers(path: str) -> bytes:
    """A head of a request, each field as a literal that is not indexed (RFC 7541, 6.2.3)."""
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "x"}
    fields |= {"content-type": "application/grpc", "te": "trailers"}
    return b"".join(b"\x10" + _text(name) + _text(value) for name, value in fields.items())


def _text(text: str) -> bytes:
    assert len(text) < 127
    return bytes([len(text)]) + text.encode()


class DeafClient:
    """A connection whose answers may have no byte."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.name = f"ipv4:127.0.0.1:{self.socket.getsockname()[1]}"
        self._streams = 0
        window = struct.pack(">HI", INITIAL_WINDOW_SIZE, 0)
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, window))

    def ask(self, path: str, message: bytes) -> None:
        stream = 1 + 2 * self._streams
        self._streams += 1
        body = b"\0" + struct.pack(">I", len(message)) + message
        self.socket.sendall(frame(HEADERS, END_HEADERS, stream, headers(path)) + frame(DATA, END_STREAM, stream, body))

    @property
    def cut_off(self) -> bool:
        """Whether the server has ended the connection."""
        self.socket.setblocking(False)
        try:
            while self.socket.recv(65_536):
                pass
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        return True

    def close(self) -> None:
        self.socket.close()
