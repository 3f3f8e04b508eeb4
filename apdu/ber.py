"""BER-TLV of ISO 7816-4 clause 6.3, as far as the card's templates need it (FCI, public key)."""

from apdu.errors import FormatError

__all__ = ["decode", "encode", "find"]


def encode(tag: int, value: bytes) -> bytes:
    """Encode one object; ``tag`` as the number its bytes spell, values up to 65,535 bytes."""
    size = len(value)
    form = b"" if size < 0x80 else b"\x81" if size <= 0xFF else b"\x82"
    length = form + size.to_bytes(2 if size > 0xFF else 1)
    return tag.to_bytes((tag.bit_length() + 7) // 8) + length + value


def _tag(raw: bytes, at: int) -> tuple[int, int]:
    """Read a tag of one or two bytes (all that ISO 7816-4 uses here)."""
    first = raw[at]
    if first & 0x1F != 0x1F:
        return first, at + 1
    if at + 1 >= len(raw) or raw[at + 1] & 0x80:
        raise FormatError("a tag is cut off or has more than two bytes", at)
    return first << 8 | raw[at + 1], at + 2


def _length(raw: bytes, at: int) -> tuple[int, int]:
    """Read a length of one to three bytes; the indefinite form is refused."""
    if at >= len(raw):
        raise FormatError("a length is missing", at)
    first = raw[at]
    if first < 0x80:
        return first, at + 1
    count = first & 0x7F
    if count not in (1, 2) or at + 1 + count > len(raw):
        raise FormatError("a length is indefinite, too long or cut off", at)
    return int.from_bytes(raw[at + 1 : at + 1 + count]), at + 1 + count


def decode(raw: bytes) -> list[tuple[int, bytes]]:
    """Split bytes into (tag, value) objects of one level; raises FormatError, never loops."""
    objects, at = [], 0
    while at < len(raw):
        tag, after_tag = _tag(raw, at)
        size, start = _length(raw, after_tag)
        if start + size > len(raw):
            raise FormatError(f"object {tag:X} says {size} bytes and {len(raw) - start} follow", at)
        objects.append((tag, raw[start : start + size]))
        at = start + size
    return objects


def find(raw: bytes, *path: int) -> bytes:
    """Return the value at a path of tags, each exactly once there; raises FormatError."""
    for tag in path:
        values = [value for found, value in decode(raw) if found == tag]
        if len(values) != 1:
            raise FormatError(f"object {tag:X} is there {len(values)} times, not once")
        raw = values[0]
    return raw
