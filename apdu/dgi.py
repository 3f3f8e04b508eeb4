"""Data grouping identifiers of STORE DATA: what personalization writes (GlobalPlatform 2.3, 11.11).

A DGI is its number (2 bytes), a length (1 byte, or FF and 2 bytes), and the value.
"""

from collections.abc import Iterable
from enum import IntEnum

from apdu.errors import FormatError
from apdu.objects import Parameters

__all__ = ["DGI_TEXT", "Dgi", "decode_dgis", "encode_dgi"]


class Dgi(IntEnum):
    """The groups that make a blank card a purse."""

    PARAMETERS = 0x0101
    CENTER_KEY = 0x0102
    CERTIFICATE = 0x0103
    CREDIT = 0x0104
    REFERENCE_DATA = 0x8010


DGI_TEXT: dict[Dgi, str] = {
    Dgi.PARAMETERS: f"Parameters, {Parameters.SIZE} bytes",
    Dgi.CENTER_KEY: "CenterKey, 66 bytes; up to four times with different numbers",
    Dgi.CERTIFICATE: "signed Certificate, 141 bytes",
    Dgi.CREDIT: "signed Credit, 96 bytes: the first credit information",
    Dgi.REFERENCE_DATA: "PIN (8 bytes) and resetting code (8 bytes), encrypted with the DEK",
}
"""What each group holds."""


def encode_dgi(dgi: Dgi, value: bytes) -> bytes:
    """Encode one group."""
    size = len(value)
    return dgi.to_bytes(2) + (bytes((size,)) if size < 0xFF else b"\xff" + size.to_bytes(2)) + value


def decode_dgis(raw: bytes) -> Iterable[tuple[Dgi, bytes]]:
    """Split a STORE DATA field into groups; raises FormatError before anything is used."""
    groups, at = [], 0
    while at < len(raw):
        number, size, start = _head(raw, at)
        if start + size > len(raw):
            raise FormatError(f"DGI {number:04X} is cut off", at)
        groups.append((_known(number, at), raw[start : start + size]))
        at = start + size
    return groups


def _head(raw: bytes, at: int) -> tuple[int, int, int]:
    long_form = raw[at + 2 : at + 3] == b"\xff"
    start = at + (5 if long_form else 3)
    if start > len(raw):
        raise FormatError("a DGI is cut off", at)
    size = int.from_bytes(raw[at + 3 : at + 5]) if long_form else raw[at + 2]
    return int.from_bytes(raw[at : at + 2]), size, start


def _known(number: int, at: int) -> Dgi:
    try:
        return Dgi(number)
    except ValueError:
        raise FormatError(f"DGI {number:04X} is unknown", at) from None
