"""The packet that every bearer carries: a piece of one object, with a tag of its own.

Big-endian: edition number (low 16 bits), span (1 byte; 0: a full list, d: a delta from the edition d before),
number K of source symbols (2), encoding symbol id (2), symbol (T), tag (6): HMAC-SHA256 (RFC 2104), cut to 6
bytes, under the packet key of the terminal group, over everything before it. T follows from the length.

The tag keeps strangers from spoiling what is put together (one false symbol spoils it all); what the whole
says is believed for its signature alone. So 6 bytes are enough: of 2^48 forgeries one gets in, and only disturbs.
"""

from dataclasses import dataclass
from hmac import compare_digest
from hmac import digest as hmac
from typing import ClassVar, Self

from apdu.errors import FormatError

__all__ = [
    "LENGTH_SIZE",
    "MAX_ESI",
    "MAX_OBJECT",
    "MAX_SYMBOLS",
    "MAX_SYMBOL_SIZE",
    "Packet",
    "check_cut",
    "distance",
    "is_authentic",
]

MAX_OBJECT = 4 * 1024 * 1024
"""Bytes of the longest sealed object that goes on the air."""
LENGTH_SIZE = 4
"""Bytes in front of the object that say how long it is."""
MAX_SYMBOLS = 56403
"""The most source symbols of one RaptorQ source block (RFC 6330, 5.1.2)."""
MAX_SYMBOL_SIZE = 65528
"""Bytes of the longest symbol: RFC 6330, 3.3.2 gives its size 16 bits."""
MAX_ESI = 0xFFFF
"""The highest encoding symbol id that a packet can name."""

_ALIGNMENT = 8
_HEAD_SIZE = 7
_TAG_SIZE = 6


def distance(edition: int, origin: int) -> int:
    """How much newer one edition is than another, from their low 16 bits (RFC 1982): -32768 to 32767."""
    return ((edition - origin + 0x8000) & 0xFFFF) - 0x8000


def check_cut(symbols: int, size: int) -> None:
    """Raise FormatError unless an object can be cut into so many symbols of so many bytes.

    Within these limits RFC 6330, 4.3 gives one source block without sub-blocks.
    """
    if not _ALIGNMENT <= size <= MAX_SYMBOL_SIZE or size % _ALIGNMENT:
        raise FormatError(f"a symbol has 8 to {MAX_SYMBOL_SIZE} bytes, a multiple of 8, not {size}", _HEAD_SIZE)
    if not 1 <= symbols <= MAX_SYMBOLS:
        raise FormatError(f"an object has 1 to {MAX_SYMBOLS} symbols, not {symbols}", 3)
    if (symbols - 1) * size >= LENGTH_SIZE + MAX_OBJECT:
        raise FormatError(f"{symbols} symbols of {size} bytes are more than the {MAX_OBJECT} bytes of an object", 3)


def _tag(content: bytes, packet_key: bytes) -> bytes:
    return hmac(packet_key, content, "sha256")[:_TAG_SIZE]


@dataclass(frozen=True, slots=True)
class Packet:
    """What a packet says; making one raises FormatError when a number is out of its range.

    ``edition`` is the number's low 16 bits, ``symbols`` is K, ``esi`` below K names a source symbol, from K on
    a repair symbol.
    """

    FRAME: ClassVar[int] = _HEAD_SIZE + _TAG_SIZE
    """Bytes of a packet that are not symbol."""

    edition: int
    span: int
    symbols: int
    esi: int
    symbol: bytes

    def __post_init__(self) -> None:
        """Check every range, so that whatever is a packet can be encoded and cut up."""
        if not (0 <= self.edition <= 0xFFFF and 0 <= self.span <= 0xFF and 0 <= self.esi <= MAX_ESI):
            raise FormatError("a packet has 16 bits of edition, 8 bits of span and 16 bits of symbol id")
        check_cut(self.symbols, len(self.symbol))

    def encode(self, packet_key: bytes) -> bytes:
        """Return the packet's bytes, FRAME more than the symbol's, with the tag under a group's packet key."""
        head = self.edition.to_bytes(2) + self.span.to_bytes(1) + self.symbols.to_bytes(2) + self.esi.to_bytes(2)
        content = head + self.symbol
        return content + _tag(content, packet_key)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Parse; the layout alone, the tag is not looked at (see is_authentic). Raises FormatError."""
        if len(raw) < cls.FRAME + _ALIGNMENT:
            raise FormatError(f"a packet has at least {cls.FRAME + _ALIGNMENT} bytes, not {len(raw)}", len(raw))
        symbols, esi = int.from_bytes(raw[3:5]), int.from_bytes(raw[5:7])
        return cls(int.from_bytes(raw[:2]), raw[2], symbols, esi, raw[_HEAD_SIZE:-_TAG_SIZE])


def is_authentic(raw: bytes, packet_key: bytes) -> bool:
    """Whether a packet's tag was made with this packet key; the time does not depend on where it differs."""
    return compare_digest(raw[-_TAG_SIZE:], _tag(raw[:-_TAG_SIZE], packet_key))
