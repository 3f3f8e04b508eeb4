"""The frame of a packet on a bearer that gets bytes wrong: a sync word, the packet, its Reed-Solomon parity.

There is no length: receiver and transmitter agree on the size of a symbol. A frame is found by its sync word at
any byte, and given up when more is wrong with it than the parity mends. At equal powers of signal and noise a
sound's frame of 209 bytes has one wrong byte in two; of a frame with five it still gives the packet.
"""

from typing import Any

from reedsolo import ReedSolomonError, RSCodec

from apdu.errors import FormatError
from broadcast.packets import Packet

__all__ = ["DAMAGE", "LARGEST_SYMBOL", "OVERHEAD", "PARITY", "SYNC", "FrameScanner", "frame", "frame_size"]

SYNC = bytes.fromhex("2DD4")
"""Sync word; its bytes differ in six bits, so that of two places next to each other one at most can be it."""
PARITY = 10
"""Bytes of parity: Reed-Solomon over GF(2^8), polynomial 11D, generator 2, first root 0, shortened."""
DAMAGE = PARITY // 2
"""Most that may be wrong: bits of the sync word and bytes behind it together.

The fewer bytes are mended, the more of the parity speaks against noise; so a worse sync word costs mending.
Of random bytes one in 2 * 10^7 begins what passes for a frame: of noise that is some days."""
OVERHEAD = len(SYNC) + PARITY
"""Bytes that a frame adds to its packet."""
LARGEST_SYMBOL = 255 - PARITY - Packet.FRAME
"""Bytes of the largest symbol whose packet and parity fit the 255 bytes of a codeword: 232."""

_SYNC_DAMAGE = 2
"""Wrong bits of the sync word up to which a frame is tried at all."""
_LONGEST_PACKET = 255 - PARITY

_codec: Any = RSCodec(PARITY)


def frame(packet: bytes) -> bytes:
    """Return the packet in its frame, 12 bytes longer; raises FormatError when it has none or over 245 bytes."""
    if not 0 < len(packet) <= _LONGEST_PACKET:
        raise FormatError(f"a packet of {len(packet)} bytes does not fit a frame, which takes 1 to {_LONGEST_PACKET}")
    return SYNC + bytes(_codec.encode(packet))


def frame_size(symbol_size: int) -> int:
    """Bytes of a frame whose packet has symbols of that many; raises FormatError outside 1 to LARGEST_SYMBOL."""
    if not 0 < symbol_size <= LARGEST_SYMBOL:
        raise FormatError(f"a symbol of {symbol_size} bytes does not fit a frame, which takes 1 to {LARGEST_SYMBOL}")
    return Packet.FRAME + symbol_size + OVERHEAD


class FrameScanner:
    """Finds frames of one size in a stream of bytes, however it is cut; keeps less than one frame in between."""

    def __init__(self, symbol_size: int) -> None:
        """Look for packets with symbols of that many bytes; raises FormatError above LARGEST_SYMBOL."""
        self._size = frame_size(symbol_size)
        self._heard = bytearray()

    def feed(self, heard: bytes) -> list[bytes]:
        """Return the packets that these bytes complete; never raises, in time linear in the bytes."""
        self._heard += heard
        packets, place = list[bytes](), 0
        while place + self._size <= len(self._heard):
            packet = self._packet(place)
            place += self._size if packet else 1
            packets += [packet] if packet else []
        del self._heard[:place]
        return packets

    def _packet(self, place: int) -> bytes | None:
        """The packet of the frame that begins at a place, mended; None when none does."""
        first, second = self._heard[place : place + len(SYNC)]
        wrong_bits = (first ^ SYNC[0]).bit_count() + (second ^ SYNC[1]).bit_count()
        if wrong_bits > _SYNC_DAMAGE:
            return None
        try:
            packet, _, mended = _codec.decode(self._heard[place + len(SYNC) : place + self._size])
        except ReedSolomonError:
            return None
        return bytes(packet) if wrong_bits + len(mended) <= DAMAGE else None
