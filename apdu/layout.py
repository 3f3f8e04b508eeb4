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
    _STRUCT: ClassVar[struct.Struct]
    _CONVERT: ClassVar[tuple[tuple[int, Callable[[Any], Any]], ...]]
    __slots__ = ()

    def __init_subclass__(cls) -> None:
        """Compile the layout once per record class."""
        super().__init_subclass__()
        prefix = "" if cls.TYPE is None else "B"
        cls._STRUCT = struct.Struct(">" + prefix + "".join(field.code for field in cls.LAYOUT.values()))
        cls.SIZE = cls._STRUCT.size
        converters = ((i, field.convert) for i, field in enumerate(cls.LAYOUT.values()))
        cls._CONVERT = tuple((i, convert) for i, convert in converters if convert)

    def encode(self) -> bytes:
        """Return the SIZE bytes; raises FormatError when a number does not fit."""
        values = [getattr(self, name) for name in self.LAYOUT]
        try:
            return self._STRUCT.pack(*(values if self.TYPE is None else (self.TYPE, *values)))
        except struct.error as error:
            raise FormatError(f"{type(self).__name__}: {error}") from None

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Parse exactly SIZE bytes; raises FormatError for another length or type byte."""
        if len(raw) != cls.SIZE:
            raise FormatError(f"{cls.__name__} has {cls.SIZE} bytes, not {len(raw)}")
        values = list(cls._STRUCT.unpack(raw))
        if cls.TYPE is not None and values.pop(0) != cls.TYPE:
            raise FormatError(f"{cls.__name__} begins with {cls.TYPE:02X}, not {raw[0]:02X}", 0)
        for i, convert in cls._CONVERT:
            values[i] = convert(values[i])
        return cls(*values)
