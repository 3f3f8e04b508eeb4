"""Payload objects of the purse's commands: tlv8, with tags 80 to BE.

Type and length take one byte each; a value over 255 bytes is split over entries of the same type
that follow each other. An entry of at most 127 bytes is valid BER-TLV as well.

Here they are written and read by the library tlv8, for everyone who speaks to a card. The card has a reader and a
writer of its own (applet_model/payload.py), as a chip has: two codecs face each other, and share the tags alone.

The library reads for lenient peers: it joins an empty fragment to the entry before it and takes an entry twice in
a row. So what it has read is written again, and unless the same bytes come out, what was read had another encoding
than the one that protocol.md allows. The tags are then held against those that are wanted.
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


_TAGS = {int(tag): tag for tag in Tag}
_LONGEST = 0xFFFF
"""Bytes; as many as an answer or a command can have. The library's time grows with the square of them."""


def pack(objects: Mapping[Tag, bytes]) -> bytes:
    """Encode objects in the order given; a value over 255 bytes is split over entries."""
    return bytes(tlv8.encode([tlv8.Entry(int(tag), value, tlv8.DataType.BYTES) for tag, value in objects.items()]))


def unpack(raw: bytes, required: Collection[Tag], optional: Collection[Tag] = ()) -> dict[Tag, bytes]:
    """Decode, and insist on exactly the objects named: none missing, none unknown, none twice.

    Raises FormatError, also for objects in another encoding than the one that ``pack`` gives.
    """
    if len(raw) > _LONGEST:
        raise FormatError(f"{len(raw)} bytes of objects: an APDU has at most {_LONGEST}")
    try:
        entries = tlv8.decode(raw)
    except ValueError:
        raise FormatError("an object is cut off") from None
    found: dict[Tag, bytes] = {}
    for entry in entries:
        tag = _TAGS.get(entry.type_id)
        if tag is None or (tag not in required and tag not in optional):
            raise FormatError(f"object {entry.type_id:02X} is unknown here")
        if tag in found:
            raise FormatError(f"object {entry.type_id:02X} is there twice")
        found[tag] = entry.data
    if pack(found) != raw:
        raise FormatError("an object has an empty fragment")
    for tag in required:
        if tag not in found:
            raise FormatError(f"object {tag.name} ({tag:02X}) is missing")
    return found
