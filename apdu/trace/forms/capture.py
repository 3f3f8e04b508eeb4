"""Packets out of captures: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng), all byte orders."""

import struct
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import NamedTuple

from apdu.errors import FormatError
from apdu.trace.model import Remark

__all__ = ["MAGICS", "Packet", "packets"]

_SECTION = 0x0A0D0D0A
_INTERFACE, _SIMPLE_PACKET, _ENHANCED_PACKET = 1, 3, 6
_SECTION_MAGIC = bytes.fromhex("0A0D0D0A")
_PCAP = {0xA1B2C3D4: 1e6, 0xA1B23C4D: 1e9}
"""Magic number of pcap to the ticks of its clock in a second."""
MAGICS = (_SECTION_MAGIC, *(magic.to_bytes(4, order) for magic in _PCAP for order in ("big", "little")))
"""What a capture begins with."""

_LONGEST_BLOCK = 1 << 24
_SHORTEST_PACKET, _LONGEST_PACKET = 32, _LONGEST_BLOCK + 8
"""Bytes of an enhanced packet block, all in all."""
_MOST_INTERFACES = 1 << 16
_COMMENT, _NAME, _RESOLUTION, _OFFSET = 1, 2, 9, 14
_CUT = Remark("the capture ends within a packet")


class Packet(NamedTuple):
    """A packet: link type, bytes, Unix seconds (None if there is no clock), name of the interface, comment."""

    link: int
    data: bytes
    time: float | None = None
    interface: str = ""
    comment: str = ""


class _Interface(NamedTuple):
    link: int
    name: str
    ticks: float
    offset: int


class _Source:
    """Bytes out of pieces of any size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.data, self.at = b"", 0
        """What is at hand, and where the next byte is in it."""

    def take(self, size: int) -> bytes:
        """The next bytes; fewer at the end."""
        end = self.at + size
        if end > len(self.data):
            self._fill(size)
            end = size
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def _fill(self, size: int) -> None:
        parts, have = [self.data[self.at :]], len(self.data) - self.at
        for chunk in self._chunks:
            parts.append(chunk)
            have += len(chunk)
            if have >= size:
                break
        self.data, self.at = b"".join(parts), 0


def packets(chunks: Iterable[bytes]) -> Iterator[Packet | Remark]:
    """Packets of a capture, in its order; a remark if the last one is not whole.

    Raises FormatError if it is no capture, or if the beginning of the next packet cannot be found any more.
    """
    source = _Source(chunks)
    magic = source.take(4)
    if magic == _SECTION_MAGIC:
        return _pcapng(source)
    for order, prefix in (("little", "<"), ("big", ">")):
        if ticks := _PCAP.get(int.from_bytes(magic, "little" if order == "little" else "big")):
            return _pcap(source, prefix, ticks)
    raise FormatError("this is neither pcap nor pcapng", 0)


def _pcap(source: _Source, order: str, ticks: float) -> Iterator[Packet | Remark]:
    header, record = source.take(20), struct.Struct(order + "IIII")
    if len(header) < 20:
        yield _CUT
        return
    link = struct.unpack(order + "I", header[16:])[0] & 0xFFFF
    while head := source.take(record.size):
        if len(head) < record.size:
            yield _CUT
            return
        seconds, fraction, size, _ = record.unpack(head)
        _check_size(size)
        data = source.take(size)
        yield Packet(link, data, seconds + fraction / ticks) if len(data) == size else _CUT


def _check_size(size: int) -> None:
    if not 0 <= size <= _LONGEST_BLOCK:
        raise FormatError(f"a packet of {size} bytes: the capture is damaged from here on")


def _pcapng(source: _Source) -> Iterator[Packet | Remark]:
    """Blocks: type, length, body, length again; a section's first block says the byte order."""
    section, head = _Section("<"), _SECTION_MAGIC + source.take(4)
    while head:
        begun = source.take(4) if head[:4] == _SECTION_MAGIC else b""
        if len(begun) == 4:
            section = _Section(_byte_order(begun))
        if len(head) < 8 or 0 < len(begun) < 4:
            yield _CUT
            return
        size = section.word(head, 4) - 8
        _check_size(size)
        body = begun + source.take(max(size, 4) - len(begun))
        if len(body) < size:
            yield _CUT
            return
        yield from section.block(head, body)
        source.at = yield from section.packets(source.data, source.at)
        head = source.take(8)


def _byte_order(magic: bytes) -> str:
    for order in "<>":
        if magic == struct.pack(order + "I", 0x1A2B3C4D):
            return order
    raise FormatError("a section of pcapng without its byte order")


class _Section:
    """A section of pcapng: its byte order and its interfaces."""

    def __init__(self, order: str) -> None:
        self._order = order
        self._word = struct.Struct(order + "I")
        self._packet = struct.Struct(order + "IIIIIII")
        self._option = struct.Struct(order + "HH")
        self._interfaces: list[_Interface] = []

    def word(self, raw: bytes, at: int) -> int:
        """The 32-bit number at a place."""
        number: int = self._word.unpack_from(raw, at)[0]
        return number

    def block(self, head: bytes, rest: bytes) -> Iterator[Packet]:
        """The packet of a block, if it is one of a known interface."""
        kind, body = self.word(head, 0), rest[:-4]
        if kind == _ENHANCED_PACKET:
            yield from self.packets(head + rest, 0)
        elif kind == _SIMPLE_PACKET and self._interfaces and len(body) > 4:
            yield Packet(self._interfaces[0].link, body[4 : 4 + self.word(body, 0)], None, self._interfaces[0].name)
        elif kind == _INTERFACE and len(body) >= 8:
            self._add_interface(body)

    def packets(self, data: bytes, at: int) -> Generator[Packet, None, int]:
        """Those of the enhanced packet blocks that come next and are here as a whole; gives where they end."""
        unpack, interfaces, last = self._packet.unpack_from, self._interfaces, len(data) - _SHORTEST_PACKET
        # what the constructor does, without its check of arguments
        new: Callable[[type[Packet], tuple[object, ...]], Packet] = tuple.__new__
        while at <= last:
            kind, size, number, high, low, captured, _ = unpack(data, at)
            end = at + size
            if kind != _ENHANCED_PACKET or end > len(data) or not _SHORTEST_PACKET <= size <= _LONGEST_PACKET:
                break
            if number < len(interfaces):
                link, name, ticks, offset = interfaces[number]
                stop, comment = at + 28 + captured, ""
                if stop >= end - 4:
                    stop = end - 4
                else:
                    comment = self._comment(data, stop + (-captured & 3), end - 4)
                ticked = high << 32 | low
                time = offset + ticked / ticks if ticked else None
                yield new(Packet, (link, data[at + 28 : stop], time, name, comment))
            at = end
        return at

    def _comment(self, data: bytes, at: int, end: int) -> str:
        """The comment among the options from ``at`` to ``end``; mostly it is the first of them."""
        if at + 4 > end:
            return ""
        code, size = self._option.unpack_from(data, at)
        if code != _COMMENT:
            return self._options(data[at:end], 0).get(_COMMENT, b"").decode("utf-8", "replace")
        stop = at + 4 + size
        return data[at + 4 : stop if stop < end else end].decode("utf-8", "replace")

    def _add_interface(self, body: bytes) -> None:
        if len(self._interfaces) >= _MOST_INTERFACES:
            raise FormatError(f"a capture with more than {_MOST_INTERFACES} interfaces")
        options = self._options(body, 8)
        resolution = (options.get(_RESOLUTION) or b"\x06")[0]
        ticks = 2.0 ** (resolution & 0x7F) if resolution & 0x80 else 10.0**resolution
        offset = options.get(_OFFSET, bytes(8))
        seconds = struct.unpack(self._order + "q", offset)[0] if len(offset) == 8 else 0
        link = self.word(body, 0) & 0xFFFF
        if self._order == ">":
            link = self.word(body, 0) >> 16
        self._interfaces.append(_Interface(link, options.get(_NAME, b"").decode("utf-8", "replace"), ticks, seconds))

    def _options(self, body: bytes, at: int) -> dict[int, bytes]:
        """The first of each option."""
        options: dict[int, bytes] = {}
        while at + 4 <= len(body):
            code, size = self._option.unpack_from(body, at)
            if not code:
                break
            options.setdefault(code, body[at + 4 : at + 4 + size])
            at += 4 + size + (-size & 3)
        return options
