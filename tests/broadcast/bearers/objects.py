"""Objects on the air, as packets, for the tests of the lines."""

from random import Random

from broadcast.packets import Packet

__all__ = ["KEY", "object_packets"]

KEY = bytes(range(32))


def object_packets(edition: int, span: int, size: int, symbol_size: int = 184, seed: int = 0) -> list[bytes]:
    """Source packets of an object of about ``size`` random bytes, with tags under KEY."""
    random = Random(f"{edition} {span} {seed}")
    count = -(-size // symbol_size)
    return [
        Packet(edition & 0xFFFF, span, count, esi, random.randbytes(symbol_size)).encode(KEY) for esi in range(count)
    ]
