"""Account numbers and tracks of bank cards in their answers, where everybody who gets a trace would read them.

Of a number (PAN) the first six and the last four digits stay, as on a receipt; of a track also name, expiry date and
service code (EMV Book 3, annex A; ISO 7813). Only whole bytes are named: of a number with an odd count of digits three
stay at its end. Where a record is cut off or damaged, nothing stays behind the place from which on it cannot be read.
"""

import re
from collections.abc import Callable, Iterator

__all__ = ["account_spans", "is_cut_record"]

_Span = tuple[int, int]

_OCCURS = re.compile(rb"[\x56\x57\x5a]|\x9f[\x1f\x20\x6b]").search
"""Whether there may be something; most answers have none of these bytes."""
_CONSTRUCTED = 0x20
_BETWEEN = b"\x00\xff"
_RECORDS = b"\x70\x77"
"""Templates of a record, and of the answer to GET PROCESSING OPTIONS (EMV Book 3, 6.5.8 and 6.5.11)."""
_DEPTH = 10
"""Levels of templates that are looked into."""
_FIRST, _LAST = 6, 4
"""Digits of a number that stay."""
_DATE_AND_SERVICE = 7
"""Digits of a track between its last separator and what the issuer put behind: YYMM and the service code."""
_SEPARATOR, _PADDING = "d", "f"
_TRACK_1_SEPARATOR, _FORMAT = b"^", 1
"""Track 1 begins with a letter, its format."""


def account_spans(data: bytes) -> list[_Span]:
    """Places [start, end) of an answer without its status word that are nobody's business; in their order.

    Empty unless all of the data is BER-TLV (ISO 7816-4 clause 6.3), padded with 00 or FF between objects as EMV
    allows, or begins as a record. Looks at each byte no more than ten times.
    """
    if _OCCURS(data) is None:
        return []
    found = _objects(data, 0, len(data), _DEPTH)
    spans = _secret(data, found) if found is not None else _damaged(data) if data[0] in _RECORDS else ()
    return [(start, end) for start, end in sorted(spans) if start < end]


def is_cut_record(data: bytes) -> bool:
    """Whether this is the beginning of a record, which is longer."""
    if not data or data[0] not in _RECORDS:
        return False
    head = _head(data, 0, len(data))
    return head is None or head[1] + head[2] > len(data)


def _damaged(data: bytes) -> Iterator[_Span]:
    """Secret places of a record that does not parse to its end; whatever its templates say of their sizes."""
    at, end = 0, len(data)
    while at < end:
        if data[at] in _BETWEEN:
            at += 1
            continue
        if (head := _head(data, at, end)) is None:
            yield at, end
            return
        tag, value, size = head
        if data[at] & _CONSTRUCTED:
            at = value
            continue
        if value + size > end:
            yield value + _FIRST // 2 if tag in _SPANS else at, end
            return
        yield from _secret(data, [(tag, value, value + size)])
        at = value + size


def _secret(data: bytes, found: list[tuple[int, int, int]]) -> Iterator[_Span]:
    for tag, start, end in found:
        if (spans := _SPANS.get(tag)) is not None:
            for first, last in spans(data[start:end]):
                yield start + first, start + last


def _objects(data: bytes, at: int, end: int, depth: int) -> list[tuple[int, int, int]] | None:
    """Tag, first byte and end of every primitive value; None unless all bytes are objects."""
    found: list[tuple[int, int, int]] = []
    while at < end:
        if data[at] in _BETWEEN:
            at += 1
            continue
        if (head := _head(data, at, end)) is None:
            return None
        tag, value, size = head
        if value + size > end:
            return None
        if data[at] & _CONSTRUCTED and depth:
            if (within := _objects(data, value, value + size, depth - 1)) is None:
                return None
            found += within
        else:
            found.append((tag, value, value + size))
        at = value + size
    return found


def _head(data: bytes, start: int, end: int) -> tuple[int, int, int] | None:
    """Tag of up to three bytes, place and size of the value; a length has up to three bytes."""
    at = start + 1
    if data[start] & 0x1F == 0x1F:
        while at < end and at < start + 2 and data[at] & 0x80:
            at += 1
        at += 1
    if at >= end:
        return None
    tag, size, value = int.from_bytes(data[start:at]), data[at], at + 1
    if size >= 0x80:
        count = size & 0x7F
        size, value = int.from_bytes(data[value : value + count]), value + count
        if count not in (1, 2):
            return None
    return tag, value, size


def _number(digits: int) -> _Span:
    """Bytes of a number in BCD, from its begin, that do not stay."""
    return _FIRST // 2, (digits - _LAST + 1) // 2


def _of_number(value: bytes) -> Iterator[_Span]:
    """5A: BCD, padded with F."""
    yield _number(len(value.hex().rstrip(_PADDING)))


def _of_track_2(value: bytes) -> Iterator[_Span]:
    """57 and 9F6B: number, D, YYMM, service code, discretionary data; without D nobody knows where the number ends."""
    digits = value.hex().find(_SEPARATOR)
    if digits < 0:
        yield _FIRST // 2, len(value)
    else:
        yield _number(digits)
        yield (digits + 1 + _DATE_AND_SERVICE) // 2, len(value)


def _of_track_1(value: bytes) -> Iterator[_Span]:
    """56: in ASCII the format, number, ^, name, ^, YYMM, service code, discretionary data."""
    digits = value.find(_TRACK_1_SEPARATOR)
    if digits < 0:
        yield _FORMAT + _FIRST, len(value)
        return
    yield _FORMAT + _FIRST, digits - _LAST
    name = value.find(_TRACK_1_SEPARATOR, digits + 1)
    yield (digits + 1, len(value)) if name < 0 else (name + 1 + _DATE_AND_SERVICE, len(value))


def _whole(value: bytes) -> Iterator[_Span]:
    yield 0, len(value)


_SPANS: dict[int, Callable[[bytes], Iterator[_Span]]] = {
    0x56: _of_track_1,
    0x57: _of_track_2,
    0x5A: _of_number,
    0x9F1F: _whole,
    0x9F20: _whole,
    0x9F6B: _of_track_2,
}
