"""Fixed byte layouts, declared once: encoding, decoding and the tables of protocol.md come from them."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from apdu.errors import FormatError
from apdu.identity import CardId

__all__ = ["Field", "Record", "card_id", "octets", "uint"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its size in bytes, how struct writes it, what it means, and the type it has in Python."""

    size: int
    code: str
    meaning: str
    convert: Callable[[Any], Any] | None = None


def uint(size: int, meaning: str) -> Field:
    """An unsigned number of 1, 2 or 4 bytes, big-endian."""
    return Field(size, {1: "B", 2: "H", 4: "I"}[size], meaning)


def octets(size: int, meaning: str) -> Field:
    """Bytes as they are."""
    return Field(size, f"{size}s", meaning)


def card_id(meaning: str) -> Field:
    """A card ID of 6 bytes."""
    return Field(CardId.SIZE, f"{CardId.SIZE}s", meaning, CardId)


class Record:
    """A dataclass whose fields stand one after the other; ``LAYOUT`` names them in that order.

    A record with a ``TYPE`` begins with that byte on the wire, so that no signed body can be taken
    for one of another kind.
    """

    TYPE: ClassVar[int | None] = None
    LAYOUT: ClassVar[dict[str, Field]]
    SIZE: ClassVar[int]
    _HEAD: ClassVar[bytes]
    _STRUCT: ClassVar[struct.Struct]
    _CONVERT: ClassVar[tuple[tuple[int, Callable[[Any], Any]], ...]]
    __slots__ = ()

    def __init_subclass__(cls) -> None:
        """Compile the layout once per record class."""
        super().__init_subclass__()
        cls._HEAD = b"" if cls.TYPE is None else bytes((cls.TYPE,))
        cls._STRUCT = struct.Struct(">" + "".join(field.code for field in cls.LAYOUT.values()))
        cls.SIZE = len(cls._HEAD) + cls._STRUCT.size
        converters = ((i, field.convert) for i, field in enumerate(cls.LAYOUT.values()))
        cls._CONVERT = tuple((i, convert) for i, convert in converters if convert)

    def encode(self) -> bytes:
        """Return the SIZE bytes; raises FormatError when a number does not fit."""
        try:
            return self._HEAD + self._STRUCT.pack(*[getattr(self, name) for name in self.LAYOUT])
        except struct.error as error:
            raise FormatError(f"{type(self).__name__}: {error}") from None

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Parse exactly SIZE bytes; raises FormatError for another length or type byte."""
        if len(raw) != cls.SIZE:
            raise FormatError(f"{cls.__name__} has {cls.SIZE} bytes, not {len(raw)}")
        if not raw.startswith(cls._HEAD):
            raise FormatError(f"{cls.__name__} begins with {cls._HEAD.hex()}, not {raw[:1].hex()}", 0)
        values = list(cls._STRUCT.unpack_from(raw, len(cls._HEAD)))
        for i, convert in cls._CONVERT:
            values[i] = convert(values[i])
        return cls(*values)
