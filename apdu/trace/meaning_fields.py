"""The objects in commands and answers, taken apart quickly: tuples with the field names of their records.

A trace has millions of objects; so their layouts are compiled once more here, from the records' own LAYOUT, into
readers that make no dataclass and convert no field: card IDs stay bytes, states and kinds stay numbers.
"""

import struct
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import accumulate
from operator import itemgetter
from typing import Any, NamedTuple

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

__all__ = [
    "Fields",
    "Objects",
    "Reader",
    "chip",
    "dgis",
    "fci",
    "history_record",
    "new_keys",
    "objects",
    "public_key",
    "reader",
]

Fields = Any
"""A tuple whose fields have the names of a record's LAYOUT, without the long ones; which record, says the tag."""
Objects = dict[Tag, Fields]
Reader = Callable[[bytes], Fields]
_LONGEST = 16
"""Bytes of the longest field that is read."""


def _numbers(kind: type[Record]) -> tuple[tuple[int, frozenset[int]], ...]:
    """Places of the fields that are enumerations, and the numbers that they may have."""
    converters = [kind.LAYOUT[name].convert for name in _told(kind)]
    return tuple(
        (place, frozenset(int(member) for member in convert))
        for place, convert in enumerate(converters)
        if isinstance(convert, type) and issubclass(convert, IntEnum)
    )


def _head(kind: type[Record]) -> bytes:
    """The type byte of a signed body; nothing of others."""
    return b"" if kind.TYPE is None else bytes((kind.TYPE,))


def _told(kind: type[Record]) -> tuple[str, ...]:
    """The fields that are read: keys, hashes and the like, which are long, nobody tells in a line."""
    return tuple(name for name, field in kind.LAYOUT.items() if field.size <= _LONGEST)


def _codes(kind: type[Record]) -> str:
    """How struct reads the fields, without the type byte."""
    return "".join(field.code if field.size <= _LONGEST else f"{field.size}x" for field in kind.LAYOUT.values())


_KINDS: dict[str, type[tuple[Any, ...]]] = {}


def _named(kind: type[Record]) -> type[tuple[Any, ...]]:
    """The tuple with the field names of a record; there is one for each."""
    # named from the layout, which the type checker cannot follow
    make: Any = namedtuple
    if kind.__name__ not in _KINDS:
        _KINDS[kind.__name__] = make(kind.__name__, _told(kind))
    return _KINDS[kind.__name__]


def reader(kind: type[Record], *, signed: bool = False) -> Reader:
    """A reader of one kind of record, with its signature behind it or not; it raises FormatError."""
    name, size, head = kind.__name__, kind.SIZE + SIGNATURE_SIZE * signed, _head(kind)
    unpack_fields = struct.Struct(f">{len(head)}x{_codes(kind)}{size - kind.SIZE}x").unpack
    fields, new, numbers, names = _named(kind), tuple.__new__, _numbers(kind), _told(kind)

    def _read(raw: bytes) -> Fields:
        if len(raw) != size:
            raise FormatError(f"{name} has {size} bytes, not {len(raw)}")
        if not raw.startswith(head):
            raise FormatError(f"{name} begins with {head.hex().upper()}, not {raw[:1].hex().upper()}")
        values = unpack_fields(raw)
        for place, known in numbers:
            if values[place] not in known:
                raise FormatError(f"{name}: {values[place]:02X} is no {names[place]}")
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
_NUMBERS = (Tag.DATE, Tag.AMOUNT, Tag.COUNTER)
_OCTETS = {Tag.CARD_ID: CardId.SIZE, Tag.CHALLENGE: 16}


class _Piece(NamedTuple):
    """How one object stands in a shape."""

    tag: Tag
    kind: type[tuple[Any, ...]] | None
    """None: the object is its one value."""
    mark: bytes
    """Tag, length and type byte."""
    codes: str
    places: int
    """Fields."""
    numbers: tuple[tuple[int, frozenset[int]], ...] = ()


def _piece(tag: Tag) -> _Piece | None:
    """An object of a size that is always the same, as it usually comes; None for others."""
    if tag in _NUMBERS:
        return _Piece(tag, None, bytes((tag, 4)), "I", 1)
    if tag in _OCTETS:
        return _Piece(tag, None, bytes((tag, _OCTETS[tag])), f"{_OCTETS[tag]}s", 1)
    record = _PLAIN.get(tag) or _SIGNED.get(tag)
    if record is None:
        return None
    behind = SIGNATURE_SIZE if tag in _SIGNED else 0
    mark = bytes((tag, record.SIZE + behind)) + _head(record)
    return _Piece(tag, _named(record), mark, f"{_codes(record)}{behind}x", len(_told(record)), _numbers(record))


_Shape = tuple[
    Callable[[bytes], tuple[Any, ...]],
    Callable[[tuple[Any, ...]], tuple[bytes, ...]],
    tuple[bytes, ...],
    tuple[tuple[int, frozenset[int]], ...],
    tuple[tuple[Tag, type[tuple[Any, ...]] | None, Any], ...],
]
"""Objects of usual sizes, in one order, as nearly all commands and answers have them, for one struct to take apart.

What unpacks all values; what takes the marks from these; the marks that must be there; places of enumerations, with
their numbers; and of each object tag, kind, and the place of its one value or the slice of its values.
"""


def _shape(pieces: Sequence[_Piece], before: bytes = b"") -> dict[int, _Shape]:
    """The shape of these objects by size and first byte; ``before`` stands before them and never changes."""
    marks = [before + pieces[0].mark, *(piece.mark for piece in pieces[1:])]
    codes = "".join(f"{len(mark)}s{piece.codes}" for mark, piece in zip(marks, pieces, strict=True))
    layout = struct.Struct(f">{codes}")
    ends = list(accumulate(1 + piece.places for piece in pieces))
    starts = [end - piece.places for piece, end in zip(pieces, ends, strict=True)]
    placed = list(zip(pieces, starts, ends, strict=True))
    shape = (
        layout.unpack,
        # the first one twice: of one place alone, itemgetter makes no tuple
        itemgetter(0, *(start - 1 for start in starts)),
        (marks[0], *marks),
        tuple((start + place, known) for piece, start, _ in placed for place, known in piece.numbers),
        tuple((piece.tag, piece.kind, slice(start, end) if piece.kind else start) for piece, start, end in placed),
    )
    return {layout.size << 8 | marks[0][0]: shape}


def _usual(shapes: Mapping[int, _Shape], otherwise: Callable[[bytes], Objects]) -> Callable[[bytes], Objects]:
    """A reader of bytes that nearly always have one of a few shapes, and of whatever else comes."""
    new = tuple.__new__

    def _read(raw: bytes) -> Objects:
        if not raw or (shape := shapes.get(len(raw) << 8 | raw[0])) is None:
            return otherwise(raw)
        unpack_fields, marks, wanted, numbers, pieces = shape
        values = unpack_fields(raw)
        if marks(values) != wanted:
            return otherwise(raw)
        for place, known in numbers:
            if values[place] not in known:
                return otherwise(raw)
        found = {}
        for tag, kind, where in pieces:
            found[tag] = values[where] if kind is None else new(kind, values[where])
        return found

    return _read


def _shapes(usual: Iterable[Sequence[Tag]]) -> dict[int, _Shape]:
    found = dict[int, _Shape]()
    for tags in usual:
        pieces = [piece for tag in tags if (piece := _piece(tag)) is not None]
        if pieces and len(pieces) == len(tags):
            found |= _shape(pieces)
    return found


def objects(
    takes: Sequence[Tag], optional: Sequence[Tag] = (), one_of: Sequence[Tag] = (), *, ends: bool = False
) -> Callable[[bytes], Objects]:
    """A reader of the objects of one command or answer, by tag; it raises FormatError.

    Of ``one_of`` exactly one is there. ``ends``: an order is that of TERMINATE, and not that of UNLOCK.
    """
    readers = _TERMINATES if ends else _READERS

    def _parse(raw: bytes) -> Objects:
        found = {tag: readers[tag](value) for tag, value in unpack(raw, takes, (*optional, *one_of)).items()}
        if one_of and (chosen := sum(tag in found for tag in one_of)) != 1:
            raise FormatError(f"{chosen} objects are there, not one")
        return found

    if ends:
        return _parse
    whole = [(*takes, tag) for tag in one_of] or [tuple(takes)]
    return _usual(_shapes([*whole, *((*tags, tag) for tags in whole for tag in optional)]), _parse)


_read_status = objects((Tag.STATUS,), (Tag.CARD_ID,))


def _parsed_fci(raw: bytes) -> Objects:
    if ber.find(raw, 0x6F, 0x84) != AID:
        raise FormatError("the FCI names another application")
    return _read_status(ber.find(raw, 0x6F, 0xA5))


_FCI_HEAD = ber.encode(0x84, AID)
_FCI_SIZE = 2 + CardId.SIZE + 2 + PurseStatus.SIZE
_FCI_BEFORE = ber.encode(0x6F, _FCI_HEAD + ber.encode(0xA5, bytes(_FCI_SIZE)))[:-_FCI_SIZE]
_FCI_PIECES = [piece for tag in (Tag.CARD_ID, Tag.STATUS) if (piece := _piece(tag)) is not None]

fci = _usual(_shape(_FCI_PIECES, _FCI_BEFORE), _parsed_fci)
"""Card ID (a blank card has none) and status in the answer to SELECT; raises FormatError."""

history_record = reader(HistoryRecord)
"""Reads the answer to READ RECORD."""


def chip(raw: bytes) -> Fields:
    """Diversification data, key version, card challenge and sequence counter in the answer to INITIALIZE UPDATE."""
    if len(raw) != 32:
        raise FormatError(f"key information has 32 bytes, not {len(raw)}")
    return raw[:10], raw[10], raw[13:21], int.from_bytes(raw[29:])


def new_keys(raw: bytes) -> int:
    """The key version in the answer to PUT KEY, before three check values; raises FormatError."""
    if len(raw) != 10:
        raise FormatError(f"a key version and three check values have 10 bytes, not {len(raw)}")
    return raw[0]


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
