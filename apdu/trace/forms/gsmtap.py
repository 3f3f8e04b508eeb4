"""GSMTAP (osmocom, libosmocore gsmtap.h) in pcap and pcapng: what SIMtrace captures, and what Wireshark shows.

A packet of type SIM holds a command, its answer's data and its status word without a mark between them. Where they
divide is worked out as for T=0 (ISO 7816-3, 12.1). In what saifu writes the packet's comment says it, and how long
the answer took; the interface's name says the slot; remarks, and commands without an answer, are log packets.
"""

import re
from collections.abc import Iterable, Iterator

from apdu.commands import BY_INS
from apdu.trace.forms.capture import MAGICS, Packet, packets
from apdu.trace.forms.datagram import datagram
from apdu.trace.forms.gsmtap_writing import LOG_HEADER, NO_ANSWER, PROGRAM, Kind, Part, write
from apdu.trace.forms.pairing import Pairing
from apdu.trace.forms.text import octets
from apdu.trace.model import Exchange, Item, Remark, Reset

__all__ = ["NAME", "detect", "divide", "read", "write"]

NAME = "gsmtap"

_HEADER = 16
_PLAIN = bytes((2, 4, Kind.SIM)) + bytes(13)
"""The header of nearly all packets: a command and its answer, nothing said about a radio channel."""
_COMMENT = re.compile(r"command of (\d{1,6}) bytes(?:, answered in (\d[\d.e+-]{0,30}) s)?(?:, blanked: (.*))?$")
_BLANK = re.compile(r"(command|response) (\d{1,6})-(\d{1,6})")
_MOST_BLANKS = 1000
_FOREVER = float("inf")
_OUTGOING = frozenset((0x12, 0x84, 0xB0, 0xB1, 0xB2, 0xB3, 0xC0, 0xCA, 0xCB, 0xF2)) | {
    ins for ins, row in BY_INS.items() if not any(size in row.lc for size in range(1, 256))
}
"""Instructions whose data is in the answer: FETCH, GET CHALLENGE, READ, GET RESPONSE, GET DATA, STATUS; the purse's."""
_LONGEST_PARTS = 1 << 18
"""Bytes that the parts of one command and its answer may have."""


def detect(head: bytes) -> bool:
    """Whether this is a capture; whether GSMTAP is in it shows later."""
    return head.startswith(MAGICS)


def read(chunks: Iterable[bytes]) -> Iterator[Item]:
    """Items of a capture; packets of other protocols are passed over. Raises FormatError as ``packets`` does."""
    assembly = _Assembly()
    for packet in packets(chunks):
        if isinstance(packet, Remark):
            yield packet
        elif (payload := datagram(packet.link, packet.data)) is None:
            continue
        elif payload.startswith(_PLAIN):
            yield _exchange(packet, payload[_HEADER:])
        else:
            yield from _items(packet, payload, assembly)
    yield from assembly.rest()


def _items(packet: Packet, payload: bytes, assembly: "_Assembly") -> Iterable[Item]:
    """Items of a packet of GSMTAP, version 2."""
    if len(payload) < _HEADER or payload[0] != 2:
        return [Remark("a packet of GSMTAP that is not whole", packet.interface, packet.time)]
    kind, part, body = payload[2], payload[12], payload[4 * payload[1] :]
    if kind == Kind.LOG:
        return _logged(packet, body)
    if kind != Kind.SIM:
        return []
    if part == Part.APDU:
        return [_exchange(packet, body)]
    if part == Part.ATR:
        return [Reset(body, packet.interface, packet.time)]
    if part in (Part.PPS_REQUEST, Part.PPS_RESPONSE):
        name = "request" if part == Part.PPS_REQUEST else "response"
        return [Remark(f"PPS {name}: {body.hex().upper()}", packet.interface, packet.time)]
    return assembly.part(packet, part, body)


def _exchange(packet: Packet, body: bytes) -> Item:
    if len(body) < 6:
        return Remark("a packet without a whole command and its status word", packet.interface, packet.time)
    size, seconds, blanks = _commented(packet.comment) if packet.comment else (0, None, None)
    if not 0 < size <= len(body) - 2:
        size = divide(body)
    command, response = body[:size], body[size:]
    redacted = _redacted(blanks, command, response) if blanks else ()
    return Exchange(command, response, packet.interface, packet.time, seconds, redacted)


def divide(body: bytes) -> int:
    """Where the answer begins in a command and its answer that follow on each other, 6 bytes at least.

    T=0 has no Le after data, and no extended length; where P3 bytes of data could be either's, the instruction
    says whose they are.
    """
    data = len(body) - 7
    if data < 0:
        return 4
    if not data or body[4] > data or body[1] in _OUTGOING:
        return 5
    return 5 + body[4]


def _commented(comment: str) -> tuple[int, float | None, str | None]:
    """Bytes of the command, 0 where it is not said; seconds until the answer; what was blanked."""
    found = _COMMENT.match(comment)
    if not found:
        return 0, None, None
    size, seconds, blanks = found.groups()
    return int(size), _seconds(seconds) if seconds else None, blanks


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if seconds < _FOREVER else None


def _redacted(text: str, command: bytes, response: bytes) -> tuple[tuple[str, int, int], ...]:
    sizes = {"command": len(command), "response": len(response)}
    found = [(part, int(start), int(end)) for part, start, end in _BLANK.findall(text)[:_MOST_BLANKS]]
    return tuple(blank for blank in found if blank[1] < blank[2] <= sizes[blank[0]])


def _logged(packet: Packet, body: bytes) -> list[Item]:
    """A line of a log; in what saifu writes, a remark, or a command without an answer."""
    if len(body) < LOG_HEADER.size:
        return [Remark("a log packet of GSMTAP that is not whole", packet.interface, packet.time)]
    _, _, program, _, _, subsystem, _, _ = LOG_HEADER.unpack_from(body)
    text = body[LOG_HEADER.size :].decode("utf-8", "replace").rstrip("\0")
    if (program.rstrip(b"\0"), subsystem.rstrip(b"\0")) == (PROGRAM, NO_ANSWER) and (command := octets(text)):
        _, seconds, blanks = _commented(packet.comment)
        redacted = _redacted(blanks, command, b"") if blanks else ()
        return [Exchange(command, None, packet.interface, packet.time, seconds, redacted)]
    return [Remark(text, packet.interface, packet.time)]


class _Assembly:
    """Commands that come in parts: header, data, answer, status word; of each interface apart."""

    def __init__(self) -> None:
        self._pairing = Pairing()
        self._answers: dict[str, bytes] = {}
        self._sizes: dict[str, int] = {}

    def part(self, packet: Packet, part: int, body: bytes) -> list[Item]:
        """Items that this part completes."""
        slot = packet.interface
        if part == Part.HEADER and body:
            items = self._pairing.sent(Exchange(body, None, slot, packet.time), slot, packet.time)
            self._forget()
            return items
        size = self._sizes.get(slot, 0) + len(body)
        if not self._pairing.waits(slot) or part > Part.STATUS or size > _LONGEST_PARTS:
            return [Remark("a part of a command that does not belong to one", slot, packet.time)]
        self._sizes[slot] = size
        if part == Part.DATA:
            self._pairing.extended(body, slot)
        elif part == Part.RESPONSE:
            self._answers[slot] = self._answers.get(slot, b"") + body
        else:
            return self._answered(slot, body, packet.time)
        return []

    def _answered(self, slot: str, status: bytes, time: float | None) -> list[Item]:
        items = self._pairing.answered(self._answers.pop(slot, b"") + status, slot, time)
        self._forget()
        return items

    def _forget(self) -> None:
        """Keep parts only of the commands that still wait."""
        for table in (self._answers, self._sizes):
            for slot in [slot for slot in table if not self._pairing.waits(slot)]:
                del table[slot]

    def rest(self) -> list[Item]:
        """Commands whose status word is not there."""
        return self._pairing.rest()
