"""The way into a running virtual reader from another shell: a socket beside pcscd's. POSIX only.

One JSON object on a line is asked, one is answered, then the connection ends. Asked: ``{"do": "insert",
"slot": 1, "image": PATH}``, ``{"do": "eject", "slot": 1}`` or ``{"do": "list"}``. Answered: ``{"ok": true,
"slots": [{"slot", "reader", "image"}, …]}`` or ``{"ok": false, "error": TEXT}``. The directory keeps other
users out.
"""

import json
import os
import socket
import socketserver
import sys
from pathlib import Path
from typing import Any

from apdu.errors import InputError, PcscUnavailableError, SaifuError
from host.virtual.parts import SOCKET_VARIABLE
from host.virtual.reader import SlotContent, VirtualReader

__all__ = ["ControlServer", "ask", "content_as_json"]

_SOCKET = "control"
_LONGEST_LINE = 65536
_ASKER_SECONDS = 5
"""For an asker to finish its line, so that a silent one does not keep the others out."""
_ANSWER_SECONDS = 60
_LOOK_SECONDS = 0.2

_Request = socket.socket | tuple[bytes, socket.socket]


def content_as_json(slots: list[SlotContent]) -> list[dict[str, Any]]:
    """Return slots as they are written in JSON."""
    return [
        {"slot": each.slot, "reader": each.reader, "image": None if each.image is None else str(each.image)}
        for each in slots
    ]


class _Asked(socketserver.StreamRequestHandler):
    server: "ControlServer"
    timeout = _ASKER_SECONDS

    def handle(self) -> None:
        """Answer one order."""
        try:
            answer = {"ok": True, "slots": self.server.do(self.rfile.readline(_LONGEST_LINE))}
        except TimeoutError:
            return
        except SaifuError as error:
            answer = {"ok": False, "error": str(error)}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


class ControlServer(socketserver.UnixStreamServer):
    """Takes orders for a virtual reader, one after the other; ``serve`` ends when the daemon dies."""

    def __init__(self, reader: VirtualReader) -> None:
        """Listen beside the socket of the reader's daemon."""
        super().__init__(str(reader.pcscd.socket_path.with_name(_SOCKET)), _Asked)
        self.reader = reader

    def serve(self) -> None:
        """Take orders until an exception ends it; raises PcscUnavailableError if the daemon dies."""
        self.serve_forever(_LOOK_SECONDS)

    def service_actions(self) -> None:
        """See that the daemon lives, several times a second."""
        if not self.reader.pcscd.running:
            raise PcscUnavailableError("the private pcscd has died: start `saifu reader run` again")

    def handle_error(self, request: _Request, client_address: object) -> None:
        """Let an asker that hangs up early be; everything else is a fault of ours, and told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def do(self, line: bytes) -> list[dict[str, Any]]:
        """Carry out one order and return the slots as they then are; raises InputError."""
        match _order(line):
            case {"do": "insert", "slot": int(slot), "image": str(image)}:
                self.reader.insert(slot, _path(image))
            case {"do": "eject", "slot": int(slot)}:
                self.reader.eject(slot)
            case {"do": "list"}:
                pass
            case order:
                raise InputError(f"the reader has no such order: {json.dumps(order)[:200]}")
        return content_as_json(self.reader.slots)


def _order(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"an order is one JSON object on a line: {error}") from None


def _path(image: str) -> Path:
    try:
        if b"\0" not in os.fsencode(image):
            return Path(image)
    except UnicodeEncodeError:
        pass
    raise InputError(f"the order names no file: none can be called {image!a}")


def ask(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Give an order to the virtual reader of this shell and return its slots.

    Raises InputError if no reader runs or it declines.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            connection.connect(str(_control_path()))
            connection.sendall(json.dumps(order).encode() + b"\n")
            answer = json.loads(connection.makefile("rb").readline())
    except (OSError, ValueError) as error:
        raise InputError(f"the virtual reader at {_control_path()} does not answer: {error}") from None
    if not answer["ok"]:
        raise InputError(answer["error"])
    slots: list[dict[str, Any]] = answer["slots"]
    return slots


def _control_path() -> Path:
    if not (pcscd := os.environ.get(SOCKET_VARIABLE)):
        raise InputError(
            "no virtual reader is known in this shell: start `saifu reader run` in another one, "
            f"and give the line `export {SOCKET_VARIABLE}=…` that it prints here"
        )
    return Path(pcscd).with_name(_SOCKET)
