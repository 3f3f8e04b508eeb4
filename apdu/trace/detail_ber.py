"""BER-TLV of any card as a tree, where the whole of the bytes is TLV (ISO 7816-4 clause 6.3, ITU-T X.690)."""

from typing import NamedTuple

from apdu.identity import AID
from apdu.trace import tags_emv
from apdu.trace.detail_purse import purse_objects
from apdu.trace.detail_tree import HEAD, VALUE, Detail, Part, cut, lay
from apdu.trace.detail_values import cryptogram, value_words
from apdu.trace.names_globalplatform import CPLC
from apdu.trace.names_globalplatform import TAGS as GP_TAGS
from apdu.trace.names_iso import CONTROL_TAGS, MESSAGING_TAGS
from apdu.trace.names_iso import TAGS as ISO_TAGS

__all__ = ["DEPTH", "ber_objects", "messaging_objects", "tag_name", "tag_words"]

DEPTH = 10
"""Levels of objects within objects that are taken apart; what is deeper stays one value."""

_EMV, _GP, _SAIFU = "EMV", "GlobalPlatform", "saifu"
_FCI = (0x62, 0x64, 0x6F)
_FCI_HEAD = 16
"""Bytes before the payload objects in our FCI, at most: three heads and the AID."""
_PUBLIC_KEY = {0x81: "modulus", 0x82: "public exponent", 0x86: "public point, 04 X Y"}
_AUTHENTICATION = {
    0x80: "witness",
    0x81: "challenge",
    0x82: "response",
    0x83: "committed challenge",
    0x84: "authentication code",
}
_WITHIN: dict[int, dict[int, str]] = {
    **dict.fromkeys(_FCI, CONTROL_TAGS),
    0x7F49: _PUBLIC_KEY,
    0x7C: _AUTHENTICATION,
    **dict.fromkeys((0x70, 0x77, 0x71, 0x72, 0xA5, 0xBF0C), tags_emv.TAGS),
    **dict.fromkeys((0x66, 0x73, 0xE0, 0xE2, 0xE3, 0xEF), GP_TAGS),
}
"""What tags mean inside a template; it goes before what they mean anywhere."""
_ORDER: dict[str, tuple[dict[int, str], ...]] = {
    _EMV: (tags_emv.TAGS, ISO_TAGS),
    _GP: (GP_TAGS, ISO_TAGS),
    _SAIFU: (ISO_TAGS, GP_TAGS),
}
_ANYWHERE = (ISO_TAGS, tags_emv.TAGS, GP_TAGS)
_CONTEXT_SPECIFIC = range(0x80, 0xC0)
"""One-byte tags that mean nothing without the template that they are in."""


class _Object(NamedTuple):
    tag: int
    start: int
    value: int
    end: int


def _scan(raw: bytes, start: int, end: int) -> list[_Object] | None:
    """The objects of one level; zeros behind the last are padding, tag 0. None: these bytes are no TLV."""
    found: list[_Object] = []
    at = start
    while at < end:
        if found and not raw[at] and not any(raw[at:end]):
            found.append(_Object(0, at, end, end))
            break
        if (each := _object(raw, at, end)) is None:
            return None
        found.append(each)
        at = each.end
    return found


def _object(raw: bytes, start: int, end: int) -> _Object | None:
    """One object: a tag of up to four bytes, a length of up to three."""
    at = start + 1
    if raw[start] & 0x1F == 0x1F:
        while at < min(end, start + 4) and raw[at] & 0x80:
            at += 1
        at += 1
    if at >= end or at > start + 4 or raw[start] in (0x00, 0xFF):
        return None
    size, value = raw[at], at + 1
    if size >= 0x80:
        count = size & 0x7F
        size, value = int.from_bytes(raw[value : value + count]), value + count
        if count not in (1, 2) or value > end:
            return None
    return _Object(int.from_bytes(raw[start:at]), start, value, value + size) if value + size <= end else None


def tag_name(tag: int, application: str = "", within: int = 0) -> str:
    """The name of a tag inside the template ``within`` (0: none); empty if nobody knows it."""
    if (name := _WITHIN.get(within, {}).get(tag)) is not None:
        return name
    if not application and not within and tag in _CONTEXT_SPECIFIC:
        return ""
    return next((table[tag] for table in _ORDER.get(application, _ANYWHERE) if tag in table), "")


def tag_words(tag: int, name: str) -> str:
    """The label of an object: ``84 DF name``."""
    return f"{tag:02X} {name}".rstrip()


def ber_objects(
    raw: bytes, start: int, end: int, application: str = "", within: int = 0, depth: int = DEPTH
) -> tuple[Detail, ...] | None:
    """The objects of a span as trees; None unless all of it is TLV."""
    found = _scan(raw, start, end)
    if not found:
        return None
    if within == 0xA5 and start <= _FCI_HEAD and AID in raw[:start] and application in ("", _SAIFU):
        return purse_objects(raw, start, end)
    return tuple(_node(raw, each, application, within, depth) for each in found)


def messaging_objects(raw: bytes, start: int, end: int) -> tuple[Detail, ...] | None:
    """The objects of ISO secure messaging (clause 10); None if these are none."""
    found = _scan(raw, start, end)
    if not found or any(each.tag not in MESSAGING_TAGS for each in found):
        return None
    return tuple(_leaf_object(raw, each, MESSAGING_TAGS[each.tag]) for each in found)


def _node(raw: bytes, each: _Object, application: str, within: int, depth: int) -> Detail:
    if not each.tag:
        return Detail("padding", each.start, each.end)
    name = tag_name(each.tag, application, within)
    inside = _inside(raw, each, application, depth)
    if inside is None:
        return _leaf_object(raw, each, name)
    children = (*cut(HEAD, each.start, each.value), *inside)
    return Detail(tag_words(each.tag, name), each.start, each.end, f"{each.end - each.value} bytes", children)


def _leaf_object(raw: bytes, each: _Object, name: str) -> Detail:
    children = (*cut(HEAD, each.start, each.value), *cut(VALUE, each.value, each.end))
    words = value_words(each.tag, name, raw[each.value : each.end])
    return Detail(tag_words(each.tag, name), each.start, each.end, words, children)


def _inside(raw: bytes, each: _Object, application: str, depth: int) -> tuple[Detail, ...] | None:
    """The parts of a value, where it has some."""
    tag, size = each.tag, each.end - each.value
    first = raw[each.start]
    if first & 0x20 and depth > 1:
        return ber_objects(raw, each.value, each.end, application, tag, depth - 1)
    if tag in tags_emv.DATA_OBJECT_LISTS and application in ("", _EMV):
        return _data_object_list(raw, each.value, each.end)
    if tag == 0x94 and size and size % 4 == 0 and application in ("", _EMV):
        return _locators(raw, each.value, each.end)
    if tag == 0x80 and application == _EMV and size > 2:
        return _format_1(raw, each.value, each.end)
    if tag == 0x9F7F and size == sum(bytes_ for _, bytes_ in CPLC):
        return lay(raw, each.value, each.end, [(label, bytes_, None) for label, bytes_ in CPLC])
    return lay(raw, each.value, each.end, _KEY) if tag == 0xC0 and application in ("", _GP) and size >= 4 else None


_KEY_TYPES = {0x80: "DES", 0x88: "AES", 0xA1: "RSA modulus", 0xB0: "ECC public"}
_KEY: tuple[Part, ...] = (
    ("key identifier", 1, None),
    ("key version", 1, None),
    ("key type", 1, lambda value: _KEY_TYPES.get(value[0], "")),
    ("key length", 1, lambda value: f"{value[0]} bytes"),
)
"""Key information (GlobalPlatform 11.3.3.1)."""


def _data_object_list(raw: bytes, start: int, end: int) -> tuple[Detail, ...] | None:
    """Tags and lengths of a list of data objects (EMV Book 3 clause 5.4)."""
    entries: list[Detail] = []
    while start < end:
        at = start + 1
        if raw[start] & 0x1F == 0x1F:
            while at < end and raw[at] & 0x80:
                at += 1
            at += 1
        if at >= end or at > start + 4:
            return None
        tag = int.from_bytes(raw[start:at])
        entries.append(Detail(tag_words(tag, tag_name(tag, _EMV)), start, at + 1, f"{raw[at]} bytes"))
        start = at + 1
    return tuple(entries) or None


def _locators(raw: bytes, start: int, end: int) -> tuple[Detail, ...]:
    """Entries of the application file locator (EMV Book 3 clause 10.2)."""
    entries: list[Detail] = []
    for at in range(start, end, 4):
        file, first, last, signed = raw[at : at + 4]
        words = f"file {file >> 3}, records {first} to {last}, {signed} of them signed"
        entries.append(Detail("records", at, at + 4, words))
    return tuple(entries)


def _format_1(raw: bytes, start: int, end: int) -> tuple[Detail, ...]:
    """Values without tags: of GET PROCESSING OPTIONS or of GENERATE AC (EMV Book 3 clauses 6.5.5.4 and 6.5.8.4)."""
    if (end - start) % 4 == 2 and raw[start + 2] & 0x07 == 0:
        profile = cut("AIP", start, start + 2, value_words(0x82, tag_name(0x82, _EMV), raw[start : start + 2]))
        return (*profile, *_locators(raw, start + 2, end))
    parts: tuple[Part, ...] = (
        ("cryptogram information", 1, cryptogram),
        ("transaction counter (ATC)", 2, lambda value: str(int.from_bytes(value))),
        ("application cryptogram", 8, None),
        ("issuer application data", max(0, end - start - 11), None),
    )
    return lay(raw, start, end, parts)
