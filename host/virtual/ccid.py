"""A CCID reader as a serial line sees it: frames, messages and the answers to them, without I/O.

The messages are those of the USB device class for smart cards (CCID 1.1, clause 6). On a serial line each is
in a frame: 03 06, the message, and an LRC, which is the exclusive or of everything before it. A frame whose
LRC is wrong is answered with 03 15 16. A reader of this kind works on the level of TPDUs: the driver in the
computer makes the blocks of T=1 itself, and the reader hands them through.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import reduce
from operator import xor
from typing import Final, Protocol, Self

__all__ = ["NAK", "CcidReader", "CcidSlot", "Execute", "FrameParser", "Message", "MuteError", "RemovedError", "frame"]

_START = b"\x03\x06"
NAK: Final = b"\x03\x15\x16"
"""What says that a frame was damaged."""

_HEADER = 10
_LONGEST_DATA = 261
"""A TPDU of T=0 with 255 bytes of data takes 260, a block of T=1 258."""

_FIRMWARE = b"saifu virtual CCID reader"
_GIVE_FIRMWARE, _NOTIFY_IN_STEP = (b"\x02", b"\x06"), b"\x01\x01\x01"
"""Escape commands that libccid begins with: name yourself (each maker's own); tell of card movements when asked."""


class _Ask(IntEnum):
    """Messages to the reader (CCID 1.1, table 6.1-1)."""

    SET_PARAMETERS = 0x61
    POWER_ON = 0x62
    POWER_OFF = 0x63
    SLOT_STATUS = 0x65
    ESCAPE = 0x6B
    GET_PARAMETERS = 0x6C
    RESET_PARAMETERS = 0x6D
    TRANSFER = 0x6F


_DATA_BLOCK, _STATUS, _PARAMETERS, _ESCAPED = 0x80, 0x81, 0x82, 0x83
"""Messages from the reader (table 6.2-1)."""

_BELONGS_TO: dict[int, int] = {
    _Ask.POWER_ON: _DATA_BLOCK,
    _Ask.TRANSFER: _DATA_BLOCK,
    _Ask.GET_PARAMETERS: _PARAMETERS,
    _Ask.SET_PARAMETERS: _PARAMETERS,
    _Ask.RESET_PARAMETERS: _PARAMETERS,
    _Ask.ESCAPE: _ESCAPED,
}
"""The answer to each message; a slot's status is that to all others."""

_INACTIVE, _ABSENT = 0x01, 0x02
_FAILED, _TIME_EXTENSION = 0x40, 0x80
_MUTE, _NO_SUCH_SLOT, _NOT_SUPPORTED, _BAD_LENGTH = 0xFE, 0x05, 0x00, 0x01
"""Errors (CCID 1.1, table 6.2-2): the last three name the offset of what is wrong in the message."""

_DEFAULTS = {0: bytes.fromhex("1100000a00"), 1: bytes.fromhex("11100045002000")}
"""Parameters of T=0 and T=1 at the default speed (CCID 1.1, clause 6.1.7)."""


@dataclass(frozen=True, slots=True)
class Execute:
    """What a transmission protocol wants done next: this command APDU by the card, whatever time it takes."""

    command: bytes


class MuteError(Exception):
    """The card does not answer."""


class RemovedError(MuteError):
    """The card is not there any more."""


@dataclass(frozen=True, slots=True)
class Message:
    """One CCID message: type, slot, sequence number, three bytes that depend on the type, and data."""

    type: int
    slot: int
    sequence: int
    specific: bytes = b"\0\0\0"
    data: bytes = b""

    def encode(self) -> bytes:
        """Return the message's bytes, 10 and the data."""
        head = bytes((self.type,)) + len(self.data).to_bytes(4, "little") + bytes((self.slot, self.sequence))
        return head + self.specific + self.data

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Parse a whole message, as ``FrameParser`` cuts it out."""
        return cls(raw[0], raw[5], raw[6], raw[7:_HEADER], raw[_HEADER:])


def frame(message: Message) -> bytes:
    """Return a message as it goes over the line."""
    framed = _START + message.encode()
    return framed + bytes((reduce(xor, framed),))


class FrameParser:
    """Cuts a stream of bytes into messages; what is between frames is dropped.

    It never holds more than one frame, about 280 bytes.
    """

    def __init__(self) -> None:
        """Begin with an empty line."""
        self._buffer = b""

    def feed(self, received: bytes) -> Iterator[Message | None]:
        """Yield each message that is now whole, and None for each frame that was damaged."""
        self._buffer += received
        while framed := self._cut():
            whole = len(framed) > len(_START) and not reduce(xor, framed)
            yield Message.decode(framed[2:-1]) if whole else None

    def forget(self) -> None:
        """Drop the beginning of a frame whose rest does not come."""
        self._buffer = b""

    def _cut(self) -> bytes:
        """Take out the first frame; of one that would be too long its start alone; nothing if more must come."""
        start = self._buffer.find(_START)
        self._buffer = self._buffer[start:] if start >= 0 else self._buffer[-1:]
        if len(self._buffer) < 7:
            return b""
        length = int.from_bytes(self._buffer[3:7], "little")
        size = len(_START) + _HEADER + length + 1 if length <= _LONGEST_DATA else len(_START)
        if len(self._buffer) < size:
            return b""
        framed, self._buffer = self._buffer[:size], self._buffer[size:]
        return framed


class CcidSlot(Protocol):
    """What the reader can do to the card in one of its slots."""

    def present(self) -> bool:
        """Whether there is a card."""
        ...

    def look(self) -> bool:
        """Whether there is a card now, for one who wants to know of every card that comes and goes."""
        ...

    def power_on(self) -> bytes:
        """Power the card on, or reset it, and return its ATR; raises MuteError or RemovedError."""
        ...

    def power_off(self) -> None:
        """Take the power away."""
        ...

    def exchange(self, tpdu: bytes) -> Iterator[bytes | None]:
        """Send a TPDU or block; yield None each time that the card wants more time, then its answer.

        Raises MuteError or RemovedError.
        """
        ...


@dataclass(slots=True)
class _Contact:
    """A slot and what the reader knows about the card in it."""

    slot: CcidSlot
    powered: bool = False
    protocol: int = 0
    parameters: dict[int, bytes] = field(default_factory=dict)

    def status(self) -> int:
        """Bits 0 and 1 of a status: 0 powered, 1 without power, 2 no card."""
        if not self.slot.present():
            self.powered = False
            return _ABSENT
        return 0 if self.powered else _INACTIVE


class CcidReader:
    """Answers CCID messages for the cards in its slots, one message after the other."""

    def __init__(self, slots: Sequence[CcidSlot]) -> None:
        """The slots are numbered from 0, as CCID has it."""
        self._contacts = [_Contact(slot) for slot in slots]

    def answers(self, asked: Message) -> Iterator[Message]:
        """Yield what is said to a message: any requests for more time, then the answer."""
        if asked.slot >= len(self._contacts):
            yield self._said(_BELONGS_TO.get(asked.type, _STATUS), asked, _FAILED | _ABSENT, _NO_SUCH_SLOT)
            return
        contact = self._contacts[asked.slot]
        try:
            yield from self._do(contact, asked)
        except MuteError:
            yield self._said(_BELONGS_TO.get(asked.type, _STATUS), asked, _FAILED | contact.status(), _MUTE)

    def _do(self, contact: _Contact, asked: Message) -> Iterator[Message]:
        match asked.type:
            case _Ask.POWER_ON:
                yield self._power_on(contact, asked)
            case _Ask.POWER_OFF:
                contact.powered = False
                contact.slot.power_off()
                yield self._said(_STATUS, asked, contact.status())
            case _Ask.SLOT_STATUS:
                contact.slot.look()
                yield self._said(_STATUS, asked, contact.status())
            case _Ask.TRANSFER:
                yield from self._transfer(contact, asked)
            case _Ask.SET_PARAMETERS | _Ask.GET_PARAMETERS | _Ask.RESET_PARAMETERS:
                yield self._parameters(contact, asked)
            case _Ask.ESCAPE:
                yield self._escape(contact, asked)
            case _:
                yield self._said(_STATUS, asked, _FAILED | contact.status(), _NOT_SUPPORTED)

    def _power_on(self, contact: _Contact, asked: Message) -> Message:
        contact.powered = False
        contact.parameters = {}
        atr = contact.slot.power_on()
        contact.powered = True
        return self._said(_DATA_BLOCK, asked, contact.status(), data=atr)

    def _transfer(self, contact: _Contact, asked: Message) -> Iterator[Message]:
        if status := contact.status():
            yield self._said(_DATA_BLOCK, asked, _FAILED | status, _MUTE)
            return
        for answer in contact.slot.exchange(asked.data):
            if answer is None:
                yield self._said(_DATA_BLOCK, asked, _TIME_EXTENSION, 1)
            elif answer:
                yield self._said(_DATA_BLOCK, asked, contact.status(), data=answer)
            else:
                yield self._said(_DATA_BLOCK, asked, _FAILED, _BAD_LENGTH)

    def _parameters(self, contact: _Contact, asked: Message) -> Message:
        """SetParameters says the protocol in its first specific byte; the others ask what holds."""
        if asked.type == _Ask.SET_PARAMETERS:
            number = asked.specific[0]
            if number not in _DEFAULTS or len(asked.data) != len(_DEFAULTS[number]):
                return self._said(_PARAMETERS, asked, _FAILED | contact.status(), 7)
            contact.protocol = number
            contact.parameters[number] = asked.data
        elif asked.type == _Ask.RESET_PARAMETERS:
            contact.parameters = {}
        number = contact.protocol
        data = contact.parameters.get(number, _DEFAULTS[number])
        return self._said(_PARAMETERS, asked, contact.status(), chain=number, data=data)

    def _escape(self, contact: _Contact, asked: Message) -> Message:
        if asked.data not in (*_GIVE_FIRMWARE, _NOTIFY_IN_STEP):
            return self._said(_ESCAPED, asked, _FAILED | contact.status(), _NOT_SUPPORTED)
        data = _FIRMWARE if asked.data in _GIVE_FIRMWARE else b""
        return self._said(_ESCAPED, asked, contact.status(), data=data)

    @staticmethod
    def _said(kind: int, asked: Message, status: int, error: int = 0, chain: int = 0, data: bytes = b"") -> Message:
        return Message(kind, asked.slot, asked.sequence, bytes((status, error, chain)), data)
