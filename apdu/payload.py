"""Payload objects of the purse's commands: tlv8, with tags 80 to BE.

Type and length take one byte each; a value over 255 bytes is split over entries of the same type
that follow each other. An entry of at most 127 bytes is valid BER-TLV as well.
"""

from collections.abc import Collection, Mapping
from enum import IntEnum

import tlv8

from apdu.errors import FormatError

__all__ = ["Tag", "pack", "unpack"]


class Tag(IntEnum):
    """Tags of the payload objects; protocol.md lists what is in each."""

    CARD_ID = 0x80
    STATUS = 0x81
    DATE = 0x82
    AMOUNT = 0x83
    COUNTER = 0x84
    CERTIFICATE = 0x85
    REQUEST = 0x86
    VALUE = 0x87
    RECEIPT = 0x88
    REFUSAL = 0x89
    RESOLUTION = 0x8A
    CREDIT = 0x8B
    HEAD = 0x8C
    PROOF = 0x8D
    ORDER = 0x8E
    CHALLENGE = 0x8F
    ATTESTATION = 0x90
    PARAMETERS = 0x91
    COUNTERS = 0x92
    CREDIT_USED = 0x93
    UNSETTLED = 0x94
    CAPACITIES = 0x95
    REFERENCE_DATA = 0x96


_HEAD, _FRAGMENT = 2, 255
_TAGS = {int(tag): tag for tag in Tag}


def pack(objects: Mapping[Tag, bytes]) -> bytes:
    """Encode objects in the order given."""
    return b"".join([_entry(tag, value) for tag, value in objects.items()])


def _entry(tag: Tag, value: bytes) -> bytes:
    """One object; the library splits a long value over entries."""
    if len(value) > _FRAGMENT:
        return bytes(tlv8.Entry(int(tag), value).encode())
    return bytes((tag, len(value))) + value


def unpack(raw: bytes, required: Collection[Tag], optional: Collection[Tag] = ()) -> dict[Tag, bytes]:
    """Decode, and insist on exactly the objects named: none missing, none unknown, none twice.

    The library's decoder is made for lenient peers: it stops at what it does not expect and joins empty
    fragments. This one takes one encoding of an object and no other. Raises FormatError.
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
