"""The card's end of T=1 (ISO 7816-3:2006 clause 11): blocks in, blocks out, and commands for the card.

A block is NAD, PCB, LEN, up to 254 bytes, and the LRC, which is the exclusive or of all before it. I-blocks
carry pieces of APDUs, R-blocks acknowledge or ask for a block again, S-blocks are for control. The rules that
are cited are those of clause 11.6.3.

The card never speaks unasked, so all retries are counted by the interface device; it ends them by RESYNCH
(rule 6) and at last by a reset.
"""

from functools import reduce
from operator import xor
from typing import Final

from host.virtual.ccid import Execute

__all__ = ["LONGEST_COMMAND", "Execute", "T1Card", "Wait", "block"]

LONGEST_COMMAND: Final = 4 + 3 + 65535 + 2
"""Bytes of the longest command APDU; of what is longer the card keeps one byte more, to decline it by."""

_DEFAULT_IFS = 32
_LARGEST_IFS = 254
_MORE = 0x20
_R, _S = 0x80, 0xC0
_EDC_ERROR, _OTHER_ERROR = 0x01, 0x02
_RESYNCH, _IFS, _ABORT, _WTX = 0xC0, 0xC1, 0xC2, 0xC3
_RESPONSE = 0x20


class Wait:
    """What T1Card says when the card shall go on with the command that it has."""


def block(pcb: int, data: bytes = b"") -> bytes:
    """Return a block with node address 0."""
    framed = bytes((0, pcb, len(data))) + data
    return framed + bytes((reduce(xor, framed),))


class T1Card:
    """The protocol from a reset to the next.

    ``receive`` takes each block of the interface device, and says what is next: a block to send, a command to
    execute, or Wait. While a command is executed either ``answer`` or ``more_time`` makes the block to send.
    """

    def __init__(self, information_field_size: int = _DEFAULT_IFS) -> None:
        """``information_field_size``: bytes that the card takes in one block (IFSC), up to 254.

        More than the default, which holds without TA3 in the ATR, is announced by S(IFS request) (rule 4).
        """
        self._wanted_size = information_field_size
        self._own_size = _DEFAULT_IFS
        self._executing = False
        self._restart()

    def _restart(self) -> None:
        """The state after reset and RESYNCH (rule 6.3); the card still takes the blocks that it has announced."""
        self._device_size = _DEFAULT_IFS
        self._next_sent = self._next_received = 0
        self._command = bytearray()
        self._answer = b""
        self._more = self._chaining = self._executing = False
        self._last = self._last_piece = b""
        self._request = b""
        self._due: bytes | Execute | Wait = b""

    def receive(self, received: bytes) -> bytes | Execute | Wait:
        """Take one block, whole or damaged."""
        if error := _error(received):
            return self._invalid(error)
        pcb, data = received[1], received[3:-1]
        if pcb & _S == _S:
            return self._supervisory(pcb, data)
        if self._request:
            return self._request  # rule 7.3
        if self._executing:
            return self._invalid(_OTHER_ERROR)
        return self._ready(pcb) if pcb & _S == _R else self._information(pcb, data)

    def answer(self, response: bytes) -> bytes:
        """Return the first block of a response APDU."""
        self._executing = False
        self._answer = response
        return self._send_piece()

    def more_time(self, multiplier: int = 1) -> bytes:
        """Return S(WTX request): the card asks for that many times the block waiting time (rule 3)."""
        return self._ask(block(_WTX, bytes((multiplier,))), Wait())

    def _ask(self, request: bytes, then: bytes | Execute | Wait) -> bytes:
        self._request, self._due = request, then
        return request

    def _say(self, said: bytes) -> bytes:
        self._last = said
        return said

    def _invalid(self, error: int) -> bytes:
        """What is said to a block that is damaged or out of order (rules 7.1 to 7.3)."""
        if self._request:
            return self._request
        if self._last and self._last[1] & _S == _R:
            return self._last
        return self._say(block(_R | self._next_received << 4 | error))

    def _information(self, pcb: int, data: bytes) -> bytes | Execute | Wait:
        """An I-block: 0, N(S), M and five zeros."""
        unexpected = pcb & 0x1F or pcb >> 6 & 1 != self._next_received or len(data) > self._own_size
        if unexpected or self._chaining:
            return self._invalid(_OTHER_ERROR)
        self._next_received ^= 1
        self._command += data[: LONGEST_COMMAND + 1 - len(self._command)]
        next_step: bytes | Execute = self._acknowledge() if pcb & _MORE else self._execute()
        if self._own_size < self._wanted_size:
            return self._ask(block(_IFS, bytes((self._wanted_size,))), next_step)
        return next_step

    def _acknowledge(self) -> bytes:
        return self._say(block(_R | self._next_received << 4))  # rule 2.2

    def _execute(self) -> Execute:
        self._executing = True
        command, self._command = bytes(self._command), bytearray()
        return Execute(command)

    def _ready(self, pcb: int) -> bytes:
        """An R-block: 10, 0, N(R), 00 and an error; its N(R) is that of the block that is wanted."""
        if pcb & 0x2C:
            return self._invalid(_OTHER_ERROR)
        if pcb >> 4 & 1 != self._next_sent:
            return self._say(self._last_piece) if self._last_piece else self._invalid(_OTHER_ERROR)
        if self._chaining:
            return self._send_piece()
        return self._last or self._invalid(_OTHER_ERROR)

    def _send_piece(self) -> bytes:
        """The next I-block of the response."""
        piece, self._answer = self._answer[: self._device_size], self._answer[self._device_size :]
        self._chaining = bool(self._answer)
        pcb = self._next_sent << 6 | (_MORE if self._chaining else 0)
        self._next_sent ^= 1
        self._last_piece = block(pcb, piece)
        return self._say(self._last_piece)

    def _supervisory(self, pcb: int, data: bytes) -> bytes | Execute | Wait:
        if self._request:
            expected = bytes((self._request[1] | _RESPONSE,)) + self._request[3:-1]
            if bytes((pcb,)) + data == expected:
                return self._granted()
        match pcb, len(data):
            case 0xC0, 0:
                self._restart()
                return self._say(block(_RESYNCH | _RESPONSE))
            case 0xC1, 1 if 0 < data[0] <= _LARGEST_IFS:
                self._device_size = data[0]
                return self._say(block(_IFS | _RESPONSE, data))
            case 0xC2, 0 if not self._executing:
                self._command, self._answer, self._chaining = bytearray(), b"", False
                self._last_piece = b""
                return self._say(block(_ABORT | _RESPONSE))
        return self._invalid(_OTHER_ERROR)

    def _granted(self) -> bytes | Execute | Wait:
        """The interface device has answered a request of ours."""
        if self._request[1] == _IFS:
            self._own_size = self._request[3]
        self._request = b""
        return self._due


def _error(received: bytes) -> int:
    """0 for a whole block, else the error to report in an R-block."""
    if len(received) < 4 or len(received) != received[2] + 4 or received[2] > _LARGEST_IFS:
        return _OTHER_ERROR
    if reduce(xor, received):
        return _EDC_ERROR
    return _OTHER_ERROR if received[0] else 0
