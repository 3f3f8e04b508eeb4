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


_ANY_TYPE = dict.fromkeys(range(256), tlv8.DataType.BYTES)


def pack(objects: Mapping[Tag, bytes]) -> bytes:
    """Encode objects in the order given."""
    return bytes(tlv8.encode([tlv8.Entry(int(tag), value) for tag, value in objects.items()]))


def unpack(raw: bytes, required: Collection[Tag], optional: Collection[Tag] = ()) -> dict[Tag, bytes]:
    """Decode, and insist on exactly the objects named: none missing, none unknown, none twice.

    Raises FormatError.
    """
    try:
        entries = tlv8.decode(raw, _ANY_TYPE) if raw else []
    except ValueError as error:
        raise FormatError(f"not tlv8: {error}") from None
    found: dict[Tag, bytes] = {}
    for entry in entries:
        if entry.type_id in found or (entry.type_id not in required and entry.type_id not in optional):
            raise FormatError(f"object {entry.type_id:02X} is unknown here or there twice")
        found[Tag(entry.type_id)] = entry.data
    if missing := [f"{tag.name} ({tag:02X})" for tag in required if tag not in found]:
        raise FormatError(f"object missing: {', '.join(missing)}")
    return found
