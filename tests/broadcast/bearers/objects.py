"""Objects on the air, as packets, for the tests of the lines."""

from random import Random

from broadcast.bearer import Receiver
from broadcast.packets import Packet

__all__ = ["KEY", "object_packets", "take"]

KEY = bytes(range(32))
_PLENTY = 60.0
"""Seconds; more than a machine that is busy needs."""


def object_packets(edition: int, span: int, size: int, symbol_size: int = 184, seed: int = 0) -> list[bytes]:
    """Source packets of an object of about ``size`` random bytes, with tags under KEY."""
    random = Random(f"{edition} {span} {seed}")
    count = -(-size // symbol_size)
    return [
        Packet(edition & 0xFFFF, span, count, esi, random.randbytes(symbol_size)).encode(KEY) for esi in range(count)
    ]


def take(receiver: Receiver, count: int) -> list[bytes]:
    """The first packets that come."""
    packets: list[bytes] = []
    for packet in receiver.packets(_PLENTY):
        packets.append(packet)
        if len(packets) == count:
            break
    return packets
