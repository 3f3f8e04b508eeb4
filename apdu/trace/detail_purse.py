"""Our own data down to each field, from the layouts in apdu/objects.py and messages.py: payload objects, DGIs."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import IntEnum
from functools import partial
from typing import NamedTuple

from apdu.counting import counted
from apdu.dgi import Dgi
from apdu.identity import CardId, LifeCycle
from apdu.layout import Field, Record, octets, uint
from apdu.layout import card_id as card_field
from apdu.messages import (
    ROOT_SIZE,
    UNSETTLED_MAX,
    Attestation,
    Certificate,
    CheckOrder,
    Credit,
    Head,
    Receipt,
    Refusal,
    Resolution,
    TerminateOrder,
    UnlockOrder,
    Value,
)
from apdu.money import Money, currency
from apdu.objects import (
    Capacities,
    CenterKey,
    Counters,
    CreditUsed,
    HistoryRecord,
    Parameters,
    PurseStatus,
    ReferenceData,
    Request,
    UnsettledEntry,
)
from apdu.payload import Tag
from apdu.proof import BITMAP_SIZE, DEPTH
from apdu.signature import SIGNATURE_SIZE
from apdu.trace.detail_tree import HEAD, VALUE, Detail, Part, cut, lay

__all__ = ["history_record", "purse_dgis", "purse_objects"]

_DATE, _AMOUNT = "seconds since", "minor units"
_UNITS = re.compile(rf",? ?\b({_DATE} [^,;]*|{_AMOUNT})")
"""What a field's meaning says of its unit: the value in words has it already."""
_FULL = 255
"""Bytes of an entry that goes on in the next one (apdu/payload.py)."""

_RECORDS: dict[Tag, type[Record]] = {
    Tag.STATUS: PurseStatus,
    Tag.CERTIFICATE: Certificate,
    Tag.REQUEST: Request,
    Tag.VALUE: Value,
    Tag.RECEIPT: Receipt,
    Tag.REFUSAL: Refusal,
    Tag.RESOLUTION: Resolution,
    Tag.CREDIT: Credit,
    Tag.HEAD: Head,
    Tag.ATTESTATION: Attestation,
    Tag.PARAMETERS: Parameters,
    Tag.COUNTERS: Counters,
    Tag.CREDIT_USED: CreditUsed,
    Tag.CAPACITIES: Capacities,
    Tag.REFERENCE_DATA: ReferenceData,
}
"""Objects that are one record; those whose records have a TYPE are signed."""
_ORDERS: dict[int | None, type[Record]] = {kind.TYPE: kind for kind in (UnlockOrder, TerminateOrder, CheckOrder)}
_SINGLE: dict[Tag, Field] = {
    Tag.CARD_ID: card_field(""),
    Tag.DATE: uint(4, "seconds since 1970"),
    Tag.AMOUNT: uint(4, "minor units"),
    Tag.COUNTER: uint(4, "the payer's counter"),
    Tag.CHALLENGE: octets(16, "the center's challenge"),
}
"""Objects that are one field."""
_GROUPS: dict[int, type[Record]] = {
    Dgi.PARAMETERS: Parameters,
    Dgi.CENTER_KEY: CenterKey,
    Dgi.CERTIFICATE: Certificate,
    Dgi.CREDIT: Credit,
}


def _field_words(field: Field, unit: int | None, value: bytes) -> str:
    """A field's value in words, and what the field means where the value does not say it."""
    said = _said(field, unit, value)
    meaning = _UNITS.sub("", field.meaning).strip() if not issubclass(_kind(field), IntEnum) else ""
    return f"{said} ({meaning})" if said and meaning else said or meaning


def _kind(field: Field) -> type:
    return field.convert if isinstance(field.convert, type) else object


def _said(field: Field, unit: int | None, value: bytes) -> str:
    number = int.from_bytes(value)
    if field.convert is CardId:
        return CardId(value).text
    if issubclass(kind := _kind(field), IntEnum):
        return _member(kind, number)
    if field.code.endswith("s"):
        return ""
    if _DATE in field.meaning:
        return f"{datetime.fromtimestamp(number, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if _AMOUNT in field.meaning:
        return f"{number} {_AMOUNT}" if unit is None else str(Money(number, currency(unit)))
    return currency(number).code if "ISO 4217" in field.meaning else str(number)


def _member(kind: type[IntEnum], number: int) -> str:
    if number not in kind.__members__.values():
        return f"{number:02X} is not known"
    member = kind(number)
    return member.text if isinstance(member, LifeCycle) else member.name.lower().replace("_", " ")


def _unit(kind: type[Record], value: bytes) -> int | None:
    """The currency in a record, if it has one."""
    at = int(kind.TYPE is not None)
    for name, field in kind.LAYOUT.items():
        if name == "currency" and at + field.size <= len(value):
            return int.from_bytes(value[at : at + field.size])
        at += field.size
    return None


def _record(kind: type[Record], value: bytes) -> Iterator[Part]:
    """The fields of a record, with the signature behind a signed one."""
    unit = _unit(kind, value)
    if kind.TYPE is not None:
        yield "type", 1, lambda found: kind.__name__ if found[0] == kind.TYPE else f"not {kind.__name__}"
    for name, field in kind.LAYOUT.items():
        if kind is Attestation and name == "unsettled":
            yield from [("unsettled counter", 4, _counter)] * UNSETTLED_MAX
        else:
            yield name.replace("_", " "), field.size, partial(_field_words, field, unit)
    if kind.TYPE is not None:
        yield "signature r", SIGNATURE_SIZE // 2, None
        yield "signature s", SIGNATURE_SIZE // 2, lambda _: f"over type to {[*kind.LAYOUT][-1].replace('_', ' ')}"


def _counter(value: bytes) -> str:
    return str(int.from_bytes(value)) if any(value) else "none"


def _entries(value: bytes) -> Iterator[Part]:
    for _ in range(0, len(value), UnsettledEntry.SIZE):
        yield from _record(UnsettledEntry, b"")


def _proof(value: bytes) -> Iterator[Part]:
    """Bitmap, forks and siblings (apdu/proof.py)."""
    yield (
        "bitmap",
        BITMAP_SIZE,
        lambda bitmap: f"{counted(int.from_bytes(bitmap).bit_count(), 'card')} listed in this block",
    )
    yield "forks", DEPTH // 8, lambda forks: f"{int.from_bytes(forks).bit_count()} siblings follow"
    siblings = int.from_bytes(value[BITMAP_SIZE : BITMAP_SIZE + DEPTH // 8]).bit_count()
    yield from [("sibling", ROOT_SIZE, None)] * siblings


def _content(tag: Tag, value: bytes) -> Iterator[Part]:
    """The fields of a payload object."""
    if tag in _SINGLE:
        field = _SINGLE[tag]
        yield VALUE, field.size, partial(_field_words, field, None)
    elif tag is Tag.UNSETTLED:
        yield from _entries(value)
    elif tag is Tag.PROOF:
        yield from _proof(value)
    else:
        kind = _ORDERS.get(value[0] if value else None) if tag is Tag.ORDER else _RECORDS[tag]
        yield from _record(kind, value) if kind is not None else ()


class _Piece(NamedTuple):
    """An entry: where it begins, and where its part of the value is."""

    start: int
    value: int
    end: int


def _pieces(raw: bytes, at: int, end: int, *, unfinished: bool) -> list[_Piece] | None:
    """The entries of one object; None if it is cut off, unless the data are ``unfinished``."""
    found: list[_Piece] = []
    tag = raw[at]
    while at < end and raw[at] == tag:
        size = raw[at + 1] if at + 1 < end else 0
        stop = at + 2 + size
        if stop > end and not unfinished:
            return None
        found.append(_Piece(at, min(at + 2, end), min(stop, end)))
        at = stop
        if size < _FULL:
            break
    return found


def purse_objects(raw: bytes, start: int, end: int, *, unfinished: bool = False) -> tuple[Detail, ...] | None:
    """Payload objects of a span (apdu/payload.py); None if these are none.

    ``unfinished``: the rest comes with the next part of a chain or with GET RESPONSE.
    """
    found: list[Detail] = []
    at = start
    while at < end:
        pieces = _pieces(raw, at, end, unfinished=unfinished) if raw[at] in _NAMES else None
        if pieces is None:
            return None
        found.append(_object(raw, Tag(raw[at]), pieces))
        at = pieces[-1].end
    return tuple(found)


_NAMES = {int(tag): f"{tag:02X} {tag.name.lower().replace('_', ' ')}" for tag in Tag}


def _object(raw: bytes, tag: Tag, pieces: list[_Piece]) -> Detail:
    value = b"".join([raw[piece.value : piece.end] for piece in pieces])
    fields = lay(value, 0, len(value), _content(tag, value))
    children = tuple(_spread(fields, pieces))
    words = fields[0].words if len(fields) == 1 and fields[0].label == VALUE else f"{len(value)} bytes"
    return Detail(_NAMES[tag], pieces[0].start, pieces[-1].end, words, children)


def _spread(fields: tuple[Detail, ...], pieces: list[_Piece]) -> Iterator[Detail]:
    """Fields at offsets in the value, at their places in the entries that the value is split over."""
    before, rest = 0, list(reversed(fields))
    for piece in pieces:
        yield Detail(HEAD, piece.start, piece.value)
        after, shift = before + piece.end - piece.value, piece.value - before
        while rest and rest[-1].start < after:
            field = rest.pop()
            words = field.words if field.start >= before else "goes on"
            yield Detail(field.label, max(field.start, before) + shift, min(field.end, after) + shift, words)
            if field.end > after:
                rest.append(field)
                break
        before = after


def purse_dgis(raw: bytes, start: int, end: int, *, encrypted: bool) -> tuple[Detail, ...] | None:
    """Groups of STORE DATA (GlobalPlatform 2.3, 11.11); None if these are none."""
    found: list[Detail] = []
    while start < end:
        long = raw[start + 2 : start + 3] == b"\xff"
        value = start + (5 if long else 3)
        if value > end:
            return None
        stop = value + (int.from_bytes(raw[start + 3 : value]) if long else raw[start + 2])
        if stop > end:
            return None
        found.append(_group(raw, start, value, stop, encrypted=encrypted))
        start = stop
    return tuple(found) or None


def _group(raw: bytes, start: int, value: int, end: int, *, encrypted: bool) -> Detail:
    number = int.from_bytes(raw[start : start + 2])
    name = Dgi(number).name.lower().replace("_", " ") if number in Dgi.__members__.values() else ""
    kind = _GROUPS.get(number)
    if kind is None or encrypted:
        inside = cut(VALUE, value, end)
    else:
        inside = lay(raw, value, end, _record(kind, raw[value:end]))
    words = f"{end - value} bytes" + (", encrypted with the DEK" if encrypted else "")
    return Detail(f"DGI {number:04X} {name}".rstrip(), start, end, words, (*cut(HEAD, start, value), *inside))


def history_record(raw: bytes, start: int, end: int) -> tuple[Detail, ...] | None:
    """The answer to READ RECORD; None if it has another length."""
    if end - start != HistoryRecord.SIZE:
        return None
    return lay(raw, start, end, _record(HistoryRecord, raw[start:end]))
