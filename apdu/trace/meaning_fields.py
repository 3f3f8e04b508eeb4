"""The objects in commands and answers, taken apart quickly: tuples with the field names of their records.

A trace has millions of objects; so their layouts are compiled once more here, from the records' own LAYOUT, into
readers that make no dataclass and convert no field: card IDs stay bytes, states and kinds stay numbers.
"""

import struct
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Any

from apdu import ber
from apdu.dgi import Dgi, decode_dgis
from apdu.errors import FormatError
from apdu.identity import AID, CardId
from apdu.layout import Record
from apdu.messages import (
    Attestation,
    Certificate,
    Credit,
    Head,
    Receipt,
    Refusal,
    Resolution,
    TerminateOrder,
    UnlockOrder,
    Value,
)
from apdu.objects import (
    Capacities,
    Counters,
    CreditUsed,
    HistoryRecord,
    Parameters,
    PurseStatus,
    ReferenceData,
    Request,
    UnsettledEntry,
)
from apdu.payload import Tag, unpack
from apdu.proof import Proof
from apdu.signature import SIGNATURE_SIZE

__all__ = ["Fields", "Objects", "Reader", "chip", "dgis", "fci", "history_record", "objects", "public_key", "reader"]

Fields = Any
"""A tuple whose fields have the names of a record's LAYOUT; which record, says the tag."""
Objects = dict[Tag, Fields]
Reader = Callable[[bytes], Fields]


def _numbers(kind: type[Record]) -> tuple[tuple[int, frozenset[int]], ...]:
    """Places of the fields that are enumerations, and the numbers that they may have."""
    converters = [field.convert for field in kind.LAYOUT.values()]
    return tuple(
        (place, frozenset(int(member) for member in convert))
        for place, convert in enumerate(converters)
        if isinstance(convert, type) and issubclass(convert, IntEnum)
    )


def reader(kind: type[Record], *, signed: bool = False) -> Reader:
    """A reader of one kind of record, with its signature behind it or not; it raises FormatError."""
    name, size = kind.__name__, kind.SIZE + SIGNATURE_SIZE * signed
    head = b"" if kind.TYPE is None else bytes((kind.TYPE,))
    codes = "".join(field.code for field in kind.LAYOUT.values())
    unpack_fields = struct.Struct(f">{len(head)}x{codes}{size - kind.SIZE}x").unpack
    # named from the layout, which the type checker cannot follow
    make: Any = namedtuple
    fields, new, numbers = make(name, tuple(kind.LAYOUT)), tuple.__new__, _numbers(kind)

    def _read(raw: bytes) -> Fields:
        if len(raw) != size:
            raise FormatError(f"{name} has {size} bytes, not {len(raw)}")
        if not raw.startswith(head):
            raise FormatError(f"{name} begins with {head.hex().upper()}, not {raw[:1].hex().upper()}")
        values = unpack_fields(raw)
        for place, known in numbers:
            if values[place] not in known:
                raise FormatError(f"{name}: {values[place]:02X} is no {fields._fields[place]}")
        return new(fields, values)

    return _read


def _octets(*sizes: int) -> Reader:
    def _read(raw: bytes) -> Fields:
        if len(raw) not in sizes:
            raise FormatError(f"{len(raw)} bytes, not {' or '.join(map(str, sizes))}")
        return raw

    return _read


def _number(raw: bytes) -> Fields:
    if len(raw) != 4:
        raise FormatError(f"a number has 4 bytes, not {len(raw)}")
    return int.from_bytes(raw)


def _date(raw: bytes) -> Fields:
    return _number(raw) if raw else None


_entry = reader(UnsettledEntry)


def _unsettled(raw: bytes) -> Fields:
    size = UnsettledEntry.SIZE
    return tuple([_entry(raw[at : at + size]) for at in range(0, len(raw), size)])


_PLAIN: dict[Tag, type[Record]] = {
    Tag.STATUS: PurseStatus,
    Tag.REQUEST: Request,
    Tag.PARAMETERS: Parameters,
    Tag.COUNTERS: Counters,
    Tag.CREDIT_USED: CreditUsed,
    Tag.CAPACITIES: Capacities,
    Tag.REFERENCE_DATA: ReferenceData,
}
_SIGNED: dict[Tag, type[Record]] = {
    Tag.CERTIFICATE: Certificate,
    Tag.VALUE: Value,
    Tag.RECEIPT: Receipt,
    Tag.REFUSAL: Refusal,
    Tag.RESOLUTION: Resolution,
    Tag.CREDIT: Credit,
    Tag.HEAD: Head,
    Tag.ORDER: UnlockOrder,
    Tag.ATTESTATION: Attestation,
}
_READERS: dict[Tag, Reader] = {
    Tag.CARD_ID: _octets(CardId.SIZE),
    Tag.DATE: _date,
    Tag.AMOUNT: _number,
    Tag.COUNTER: _number,
    Tag.PROOF: Proof.decode,
    Tag.CHALLENGE: _octets(16),
    Tag.UNSETTLED: _unsettled,
    **{tag: reader(kind) for tag, kind in _PLAIN.items()},
    **{tag: reader(kind, signed=True) for tag, kind in _SIGNED.items()},
}
_TERMINATES = _READERS | {Tag.ORDER: reader(TerminateOrder, signed=True)}
_SIZES: dict[Tag, int] = {
    Tag.CARD_ID: CardId.SIZE,
    Tag.DATE: 4,
    Tag.AMOUNT: 4,
    Tag.COUNTER: 4,
    Tag.CHALLENGE: 16,
    **{tag: kind.SIZE for tag, kind in _PLAIN.items()},
    **{tag: kind.SIZE + SIGNATURE_SIZE for tag, kind in _SIGNED.items()},
}
"""Sizes of the objects that have one, as they usually come."""


class _Shape:
    """Objects of usual sizes, in the order of the command table: what nearly all commands and answers are."""

    __slots__ = ("_heads", "_readers", "_tags", "_unpack", "size")

    def __init__(self, tags: Sequence[Tag], readers: Mapping[Tag, Reader]) -> None:
        layout = struct.Struct(">" + "".join(f"2s{_SIZES[tag]}s" for tag in tags))
        self.size, self._unpack = layout.size, layout.unpack
        self._heads = tuple(bytes((tag, _SIZES[tag])) for tag in tags)
        self._tags, self._readers = tuple(tags), tuple(readers[tag] for tag in tags)

    def read(self, raw: bytes) -> Objects | None:
        """The objects of ``size`` bytes; None if they are not of this shape after all."""
        parts = self._unpack(raw)
        if parts[::2] != self._heads:
            return None
        return {tag: read(part) for tag, read, part in zip(self._tags, self._readers, parts[1::2], strict=True)}


def _shapes(usual: Sequence[Sequence[Tag]], readers: Mapping[Tag, Reader]) -> dict[tuple[int, int], _Shape]:
    """Shapes by size and first tag."""
    found = [_Shape(tags, readers) for tags in usual]
    return {(shape.size, int(tags[0])): shape for shape, tags in zip(found, usual, strict=True)}


def objects(takes: Sequence[Tag], optional: Sequence[Tag] = (), *, ends: bool = False) -> Callable[[bytes], Objects]:
    """A reader of the objects of one command or answer, by tag; it raises FormatError.

    ``ends``: an order is that of TERMINATE, and not that of UNLOCK.
    """
    readers = _TERMINATES if ends else _READERS
    usual = [tags for tags in (takes, *((*takes, tag) for tag in optional)) if tags and _SIZES.keys() >= set(tags)]
    shapes = _shapes(usual, readers) if not ends else {}

    def _read(raw: bytes) -> Objects:
        shape = shapes.get((len(raw), raw[0])) if raw else None
        if shape is not None and (found := shape.read(raw)) is not None:
            return found
        return {tag: readers[tag](value) for tag, value in unpack(raw, takes, optional).items()}

    return _read


_STATUS = PurseStatus.SIZE
_FCI_HEAD = ber.encode(0x84, AID)
_FCI_TAIL = bytes((Tag.CARD_ID, CardId.SIZE)) + bytes(CardId.SIZE) + bytes((Tag.STATUS, _STATUS)) + bytes(_STATUS)
_FCI = ber.encode(0x6F, _FCI_HEAD + ber.encode(0xA5, _FCI_TAIL))
_AT = len(_FCI) - len(_FCI_TAIL)
_CARD, _AFTER = _FCI[: _AT + 2], _FCI[_AT + 2 + CardId.SIZE : -_STATUS]
_CARD_ID_TAG, _STATUS_TAG = Tag.CARD_ID, Tag.STATUS
_status, _read_status = _READERS[Tag.STATUS], objects((Tag.STATUS,), (Tag.CARD_ID,))


def fci(raw: bytes) -> Objects:
    """Card ID (a blank card has none) and status in the answer to SELECT; raises FormatError."""
    # the one form that an issued purse sends needs no parser
    if len(raw) == len(_FCI) and raw.startswith(_CARD) and raw[-_STATUS - 2 : -_STATUS] == _AFTER:
        return {_CARD_ID_TAG: raw[_AT + 2 : -_STATUS - 2], _STATUS_TAG: _status(raw[-_STATUS:])}
    if ber.find(raw, 0x6F, 0x84) != AID:
        raise FormatError("the FCI names another application")
    return _read_status(ber.find(raw, 0x6F, 0xA5))


history_record = reader(HistoryRecord)
"""Reads the answer to READ RECORD."""


def chip(raw: bytes) -> Fields:
    """Diversification data, key version, card challenge and sequence counter in the answer to INITIALIZE UPDATE."""
    if len(raw) != 32:
        raise FormatError(f"key information has 32 bytes, not {len(raw)}")
    return raw[:10], raw[10], raw[13:21], int.from_bytes(raw[29:])


def public_key(raw: bytes) -> bytes:
    """The point in the answer to GENERATE KEY PAIR, without its first byte 04; raises FormatError."""
    point = ber.find(raw, 0x7F49, 0x86)
    if len(point) != 65 or point[0] != 4:
        raise FormatError("the public key is no uncompressed point")
    return point[1:]


@lru_cache(256)
def dgis(raw: bytes) -> tuple[Dgi, ...]:
    """The numbers of the groups in one block of STORE DATA; raises FormatError."""
    return tuple(number for number, _ in decode_dgis(raw))
