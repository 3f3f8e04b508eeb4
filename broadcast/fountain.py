"""The fountain: RaptorQ (RFC 6330) makes as many symbols of an object as are wanted, and any K of them are enough.

Nearly any: of K symbols at most 1 set in 100 does not do, of K + 1 one in 10,000, of K + 2 one in a million. What
is cut up is the length of the object (4 bytes), the object, and zeros up to K symbols of T bytes, as one source
block. The first K symbols are these bytes themselves.
"""

from typing import Final

from raptorq import Decoder, Encoder

from apdu.errors import FormatError, InputError
from broadcast.packets import LENGTH_SIZE, MAX_ESI, MAX_OBJECT, MAX_SYMBOLS, check_cut

__all__ = ["SURPLUS", "FountainDecoder", "FountainEncoder"]

SURPLUS = 32
"""Symbols above K after which an object that still does not come out never will."""

_PAYLOAD_ID_SIZE = 4
"""What the library puts before a symbol: source block number (here 0, 1 byte), encoding symbol id (3 bytes)."""
_FEWEST_REPAIR_SYMBOLS = 64


def _cut(length: int, symbol_size: int) -> int:
    """K for an object of so many bytes; raises InputError when it cannot be cut so."""
    if length > MAX_OBJECT:
        raise InputError(f"{length} bytes are too long for the air; at most {MAX_OBJECT} can be broadcast")
    symbols = -(-(LENGTH_SIZE + length) // max(symbol_size, 1))
    if symbols > MAX_SYMBOLS:
        least = -(-(LENGTH_SIZE + length) // MAX_SYMBOLS)
        raise InputError(
            f"{length} bytes are too many symbols of {symbol_size} bytes; use symbols of {least} bytes or more"
        )
    try:
        check_cut(symbols, symbol_size)
    except FormatError as error:
        raise InputError(str(error)) from None
    return symbols


class FountainEncoder:
    """Every symbol of one object."""

    def __init__(self, content: bytes, symbol_size: int) -> None:
        """Cut up an object of at most MAX_OBJECT bytes.

        Raises InputError when it is too long, or has too many symbols of this size, or the size is no multiple of 8.
        """
        self.K: Final = _cut(len(content), symbol_size)
        self._size = symbol_size
        self._source = (len(content).to_bytes(LENGTH_SIZE) + content).ljust(self.K * symbol_size, b"\0")
        self._encoder: Encoder | None = None
        self._repair: list[bytes] = []

    def symbol(self, esi: int) -> bytes:
        """Return the symbol of an encoding symbol id from 0 to 65535; raises IndexError for any other."""
        if not 0 <= esi <= MAX_ESI:
            raise IndexError(esi)
        if esi < self.K:
            return self._source[esi * self._size : (esi + 1) * self._size]
        if esi - self.K >= len(self._repair):
            self._make_repair(esi - self.K + 1)
        return self._repair[esi - self.K]

    def _make_repair(self, wanted: int) -> None:
        """Make repair symbols ahead: the library begins at the first each time, so doubling keeps this linear."""
        if self._encoder is None:
            self._encoder = Encoder.with_defaults(self._source, self._size)
        count = min(max(2 * wanted, _FEWEST_REPAIR_SYMBOLS), MAX_ESI + 1 - self.K)
        packets: list[bytes] = self._encoder.get_encoded_packets(count)
        self._repair = [packet[_PAYLOAD_ID_SIZE:] for packet in packets[self.K :]]


class FountainDecoder:
    """Puts one object together; an honest one is whole after K symbols or a few more, whichever they are."""

    def __init__(self, symbols: int, symbol_size: int) -> None:
        """Begin an object of K symbols of T bytes; raises FormatError where check_cut does."""
        check_cut(symbols, symbol_size)
        self.need = symbols
        self.have = 0
        self.spoiled = False
        self._size = symbol_size
        self._seen = bytearray(MAX_ESI + 1)
        self._decoder: Decoder | None = Decoder.with_defaults(symbols * symbol_size, symbol_size)

    def add(self, esi: int, symbol: bytes) -> bytes | None:
        """Take a symbol; return the object when it is whole with this one, else None.

        Symbols had before, and all after the end, change nothing. ``have`` counts the others. ``spoiled`` tells
        that the symbols do not belong to one object. Raises FormatError for another size or id, since the library
        would abort.
        """
        if len(symbol) != self._size or not 0 <= esi <= MAX_ESI:
            raise FormatError(f"symbol {esi} of {len(symbol)} bytes does not belong to symbols of {self._size} bytes")
        if self._decoder is None or self._seen[esi]:
            return None
        self._seen[esi] = True
        self.have += 1
        padded: bytes | None = self._decoder.decode(esi.to_bytes(_PAYLOAD_ID_SIZE) + symbol)
        if padded is not None:
            return self._finish(padded)
        if self.have >= self.need + SURPLUS:
            self._spoil()
        return None

    def _finish(self, padded: bytes) -> bytes | None:
        """Take length and zeros off, if they are what the encoder put there."""
        end = LENGTH_SIZE + int.from_bytes(padded[:LENGTH_SIZE])
        is_cut_right = len(padded) - self._size < end <= min(len(padded), LENGTH_SIZE + MAX_OBJECT)
        if not is_cut_right or any(padded[end:]):
            self._spoil()
            return None
        self._decoder = None
        return padded[LENGTH_SIZE:end]

    def _spoil(self) -> None:
        self.spoiled = True
        self._decoder = None
