"""A bundle: what a lossless line carries instead of an endless stream, the source packets of one object.

Packet size (2 bytes), then the K source packets, in the order of their symbols. The packets are those of the
air, tags and all, so a terminal judges what came by line with the same eyes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Self

from apdu.errors import FormatError
from broadcast.packets import Packet

__all__ = ["LARGEST_BUNDLE", "LARGEST_PACKET", "SMALLEST_PACKET", "Bundle", "pack", "unpack"]

_OBJECT_HEAD = 5
"""Edition, span and K: equal in all packets of an object."""
SMALLEST_PACKET = Packet.FRAME + 8
LARGEST_PACKET = Packet.FRAME + 1024
LARGEST_BUNDLE = 6 << 20
"""Bytes; an object of 4 MiB in packets of 184-byte symbols takes 4.5 MiB."""


def _check_size(size: int) -> None:
    if not SMALLEST_PACKET <= size <= LARGEST_PACKET or (size - Packet.FRAME) % 8:
        raise FormatError(f"a packet does not have {size} bytes", 0)


def _check_object(packets: Sequence[bytes]) -> None:
    """One object, whole and in order; raises FormatError."""
    head = packets[0][:_OBJECT_HEAD]
    if len(packets) != int.from_bytes(head[3:5]):
        raise FormatError(f"{len(packets)} packets are not the {int.from_bytes(head[3:5])} source packets of an object")
    for number, packet in enumerate(packets):
        if packet[: _OBJECT_HEAD + 2] != head + number.to_bytes(2):
            raise FormatError("the bundle mixes objects, or its packets are out of order", 2 + number * len(packet))


def pack(packets: Sequence[bytes]) -> bytes:
    """Bundle the source packets of one object, given in any order; raises FormatError when they are not just that."""
    if not packets:
        raise FormatError("there are no packets to bundle")
    size = len(packets[0])
    _check_size(size)
    if any(len(packet) != size for packet in packets):
        raise FormatError("the packets of one object differ in size")
    if 2 + size * len(packets) > LARGEST_BUNDLE:
        raise FormatError(f"{len(packets)} packets of {size} bytes are too many for a bundle")
    ordered = sorted(packets, key=lambda packet: packet[_OBJECT_HEAD : _OBJECT_HEAD + 2])
    _check_object(ordered)
    return size.to_bytes(2) + b"".join(ordered)


def unpack(raw: bytes) -> list[bytes]:
    """Return the packets of a bundle; raises FormatError. Their tags are not looked at."""
    if len(raw) > LARGEST_BUNDLE:
        raise FormatError(f"a bundle does not have {len(raw)} bytes", LARGEST_BUNDLE)
    size = int.from_bytes(raw[:2])
    _check_size(size)
    if len(raw) == 2 or (len(raw) - 2) % size:
        raise FormatError(f"the bundle ends within a packet of {size} bytes", len(raw))
    packets = [raw[start : start + size] for start in range(2, len(raw), size)]
    _check_object(packets)
    return packets


def _object_head(packet: bytes) -> bytes:
    return packet[:_OBJECT_HEAD]


@dataclass(frozen=True, slots=True)
class Bundle:
    """One object on the air, ready for a line."""

    edition: int
    """Low 16 bits of the edition's number."""
    span: int
    """0: a full list; d: a delta from the edition d before."""
    raw: bytes

    @classmethod
    def sort(cls, packets: Iterable[bytes]) -> list[Self]:
        """Sort the source packets of any objects into bundles; raises FormatError when one is not whole."""
        objects = groupby(sorted(packets, key=_object_head), key=_object_head)
        bundles = [cls(int.from_bytes(head[:2]), head[2], pack(list(own))) for head, own in objects]
        if len({(one.edition, one.span) for one in bundles}) < len(bundles):
            raise FormatError("two objects are of the same edition and span: a channel carries the objects of one key")
        return bundles
