"""Payload objects as the card reads and writes them: a strict tlv8 of its own, as a chip has.

Type and length take one byte each; a value over 255 bytes is split over entries of the same type that follow each
other. The host has the library tlv8 (apdu/payload.py); the two share the tags alone, and tests hold them to the same.
"""

from collections.abc import Collection, Mapping

from apdu.errors import FormatError
from apdu.payload import Tag

__all__ = ["pack", "unpack"]

_HEAD, _FRAGMENT = 2, 255
_TAGS = {int(tag): tag for tag in Tag}


def pack(objects: Mapping[Tag, bytes]) -> bytes:
    """Encode objects in the order given."""
    return b"".join([_entry(tag, value) for tag, value in objects.items()])


def _entry(tag: Tag, value: bytes) -> bytes:
    """One object: an entry, and while entries are full the next one of the same tag."""
    entry = bytes((tag, min(len(value), _FRAGMENT))) + value[:_FRAGMENT]
    return entry if len(value) <= _FRAGMENT else entry + _entry(tag, value[_FRAGMENT:])


def unpack(raw: bytes, required: Collection[Tag], optional: Collection[Tag] = ()) -> dict[Tag, bytes]:
    """Decode, and insist on exactly the objects named: none missing, none unknown, none twice.

    One encoding of an object is taken and no other. Raises FormatError.
    """
    found: dict[Tag, bytes] = {}
    at = 0
    while at < len(raw):
        tag = _TAGS.get(raw[at])
        if tag is None or (tag not in required and tag not in optional):
            raise FormatError(f"object {raw[at]:02X} is unknown here", at)
        if tag in found:
            raise FormatError(f"object {raw[at]:02X} is there twice", at)
        found[tag], at = _value(raw, at)
    for tag in required:
        if tag not in found:
            raise FormatError(f"object {tag.name} ({tag:02X}) is missing")
    return found


def _value(raw: bytes, at: int) -> tuple[bytes, int]:
    """The value at ``at`` and where the next object begins; a full entry goes on in the next of its type."""
    end = at + _HEAD + (raw[at + 1] if at + 1 < len(raw) else _FRAGMENT)
    if end > len(raw):
        raise FormatError("an object is cut off", at)
    value = raw[at + _HEAD : end]
    if len(value) == _FRAGMENT and raw[end : end + 1] == raw[at : at + 1]:
        rest, end = _value(raw, end)
        if not rest:
            raise FormatError("an object has an empty fragment", end)
        value += rest
    return value, end
