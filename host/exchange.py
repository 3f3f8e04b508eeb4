"""The bounded protocol stack between sessions and a connection: chaining, 61xx, 6Cxx.

A hostile card can neither keep the host busy for ever nor make it hold more than 64 KiB.
"""

from dataclasses import replace

from apdu.command import CHAINING, CommandApdu
from apdu.errors import FormatError, MisbehaviourError
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from host.connection import CardConnection

__all__ = ["exchange"]

_SHORT_DATA = 255
_ANSWER_MAX = 65536
_PIECES_MAX = 260


def exchange(connection: CardConnection, command: CommandApdu) -> ResponseApdu:
    """Send a command of any length, fetch the whole answer.

    Raises MisbehaviourError for an answer that no honest card gives, and what ``transmit`` raises.
    """
    while len(command.data) > _SHORT_DATA:
        part = command.with_data(command.data[:_SHORT_DATA], command.cla | CHAINING)
        response = _once(connection, replace(part, ne=None))
        if response.sw != StatusWord.OK:
            return response
        command = command.with_data(command.data[_SHORT_DATA:])
    response = _once(connection, command)
    if response.sw >> 8 == 0x6C and command.ne is not None and not response.data:
        response = _once(connection, replace(command, ne=response.sw & 0xFF or 256))
    return _collect(connection, response)


def _once(connection: CardConnection, command: CommandApdu) -> ResponseApdu:
    raw = connection.transmit(command.encode())
    try:
        response = ResponseApdu.decode(raw)
    except FormatError as error:
        raise MisbehaviourError(f"{error}") from None
    if len(response.data) > (command.ne or 256):
        raise MisbehaviourError(f"the card sent {len(response.data)} bytes where {command.ne} were asked for")
    return response


def _collect(connection: CardConnection, response: ResponseApdu) -> ResponseApdu:
    """Follow 61xx (ISO 7816-4 clause 5.3.4), as long as each answer brings something."""
    if response.sw >> 8 != 0x61:
        return response
    data = response.data
    for _ in range(_PIECES_MAX):
        if response.sw >> 8 != 0x61:
            return ResponseApdu(data, response.sw)
        response = _once(connection, CommandApdu(0x00, 0xC0, 0x00, 0x00, ne=response.sw & 0xFF or 256))
        if not response.data and response.sw >> 8 == 0x61:
            break
        data += response.data
        if len(data) > _ANSWER_MAX:
            break
    raise MisbehaviourError("the card announces more and more answer data without an end")
