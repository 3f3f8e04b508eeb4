"""Writes GSMTAP as pcapng: opens in Wireshark and tshark, one packet an exchange, one interface a slot."""

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum

from apdu.trace.forms.datagram import LINK_RAW, LONGEST_PAYLOAD, wrapped
from apdu.trace.forms.odd_answers import without_odd_answers
from apdu.trace.model import Exchange, Item, Remark, Reset

__all__ = ["LOG_HEADER", "NO_ANSWER", "PROGRAM", "Kind", "Part", "write"]

PROGRAM = b"saifu"
NO_ANSWER = b"no answer"
"""Subsystem of a log packet that has a command without an answer, in hexadecimal."""
LOG_HEADER = struct.Struct(">II16sIB3x16s32sI")
"""Seconds, microseconds, program, process, level, subsystem, source file and line, before the text."""


class Kind(IntEnum):
    """Types of GSMTAP that have to do with cards."""

    SIM = 0x04
    LOG = 0x10


class Part(IntEnum):
    """What a packet of type SIM holds (GSMTAP_SIM_*)."""

    APDU = 0
    ATR = 1
    PPS_REQUEST = 2
    PPS_RESPONSE = 3
    HEADER = 4
    DATA = 5
    RESPONSE = 6
    STATUS = 7


_SECTION = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
_INTERFACE, _PACKET = 1, 6
_COMMENT, _NAME = 1, 2
_MOST_INTERFACES = 1000
_BLOCK = struct.Struct("<II")
_ENHANCED = struct.Struct("<IIIII")
_GSMTAP = struct.Struct(">BBBBHbbIBBBB")
_LONGEST_OPTION = 60000
_NOTICE = 5
_TICKS = 1e6
_SHORTEST_COMMAND = 4


def write(items: Iterable[Item]) -> Iterator[bytes]:
    """A capture in pieces; times to the microsecond. What does not fit in a datagram becomes a remark."""
    yield _SECTION
    interfaces: dict[str, int] = {}
    for item in without_odd_answers(items, _SHORTEST_COMMAND):
        slot = item.slot if item.slot in interfaces or len(interfaces) < _MOST_INTERFACES else next(iter(interfaces))
        if slot not in interfaces:
            interfaces[slot] = len(interfaces)
            yield _interface(slot)
        yield _packet(interfaces[slot], item)


def _interface(slot: str) -> bytes:
    options = _option(_NAME, slot) + bytes(4) if slot else b""
    return _block(_INTERFACE, struct.pack("<HHI", LINK_RAW, 0, 0) + options)


def _packet(interface: int, item: Item) -> bytes:
    comment = _comment(item) if isinstance(item, Exchange) else ""
    payload = _payload(item)
    if len(payload) > LONGEST_PAYLOAD:
        payload, comment = _log(b"", f"{len(payload)} bytes, which do not fit in a packet"), ""
    packet = wrapped(payload)
    ticks = _ticks(item.time)
    head = _ENHANCED.pack(interface, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
    options = _option(_COMMENT, comment) + bytes(4) if comment else b""
    return _block(_PACKET, head + packet + bytes(-len(packet) % 4) + options)


def _payload(item: Item) -> bytes:
    match item:
        case Reset():
            return _gsmtap(Kind.SIM, Part.ATR) + item.atr
        case Remark():
            return _log(b"", item.text)
        case Exchange(response=bytes() as answer):
            return _gsmtap(Kind.SIM, Part.APDU) + item.command + answer
    return _log(NO_ANSWER, item.command.hex().upper())


def _gsmtap(kind: Kind, part: int = 0) -> bytes:
    return _GSMTAP.pack(2, 4, kind, 0, 0, 0, 0, 0, part, 0, 0, 0)


def _log(subsystem: bytes, text: str) -> bytes:
    return _gsmtap(Kind.LOG) + LOG_HEADER.pack(0, 0, PROGRAM, 0, _NOTICE, subsystem, b"", 0) + _cut(text)


def _cut(text: str) -> bytes:
    """Text of a size that an option or a packet holds."""
    raw = text.encode("utf-8", "replace")
    return raw if len(raw) <= _LONGEST_OPTION else raw[:_LONGEST_OPTION].decode("utf-8", "ignore").encode()


def _comment(item: Exchange) -> str:
    seconds = "" if item.seconds is None else f", answered in {float(item.seconds)!r} s"
    blanks = "; ".join(f"{part} {start}-{end}" for part, start, end in item.redacted)
    return f"command of {len(item.command)} bytes{seconds}" + (f", blanked: {blanks}" if blanks else "")


def _ticks(time: float | None) -> int:
    """Microseconds since 1970; 0 where they are not known or have no place."""
    ticks = round(time * _TICKS) if time is not None and abs(time) < 1 << 43 else 0
    return max(ticks, 0)


def _option(code: int, text: str) -> bytes:
    raw = _cut(text)
    return struct.pack("<HH", code, len(raw)) + raw + bytes(-len(raw) % 4)


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return _BLOCK.pack(kind, size) + body + struct.pack("<I", size)
