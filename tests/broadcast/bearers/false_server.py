"""HTTP servers that lie: each says what a test makes it say, to one connection after the other."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread


def answer(content: bytes, status: str = "200 OK", *headers: str) -> bytes:
    length = [] if any("ontent-length" in one for one in headers) else [f"Content-Length: {len(content)}"]
    return "\r\n".join([f"HTTP/1.1 {status}", *length, *headers, "Connection: close", "", ""]).encode() + content


def index_of(*objects: tuple[int, int]) -> bytes:
    """The answer with the index of these editions and spans."""
    entries = [{"edition": edition, "span": span, "size": 5, "etag": f"{edition}"} for edition, span in objects]
    return answer(json.dumps({"objects": entries}).encode())


@contextmanager
def serving(give: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port where ``give`` talks to whoever connects; at the end it is cut short."""
    open_sockets = set[socket.socket]()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        open_sockets.add(listener)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    accepted, _ = listener.accept()
                    with suppress(OSError), accepted:
                        open_sockets.add(accepted)
                        give(accepted)
                    open_sockets.discard(accepted)

        thread = Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            for one in list(open_sockets):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def false_server(index: bytes, content: bytes = b"", is_endless: bool = False) -> Iterator[str]:
    """Gives one answer for the index and one for everything else, the last for ever if asked to."""

    def give(accepted: socket.socket) -> None:
        asked = accepted.recv(4000)
        accepted.sendall(index if b"/index" in asked.split(b"\r\n")[0] else content)
        while is_endless and b"/index" not in asked.split(b"\r\n")[0]:
            accepted.sendall(bytes(1 << 16))

    with serving(give) as port:
        yield f"http://127.0.0.1:{port}/blacklist/5/terminals/1"
