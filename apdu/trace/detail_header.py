"""Class byte, P1 and P2 in words: ISO 7816-4 clauses 5.4.1 and 11, GlobalPlatform 2.3 clause 11, EMV Book 3."""

from collections.abc import Callable

from apdu.commands import DATA_OBJECTS
from apdu.trace.detail_ber import tag_name
from apdu.trace.names_emv import CRYPTOGRAMS
from apdu.trace.names_globalplatform import INSTALL_FOR

__all__ = ["class_words", "parameter_words"]

_MESSAGING = (
    "no secure messaging",
    "secure messaging of the card's own",
    "secure messaging",
    "secure messaging, header too",
)


def class_words(cla: int, standard: str) -> str:
    """The bits of a class byte: whose, chaining, secure messaging, logical channel.

    Bits of a proprietary class that no known standard uses stay without words.
    """
    if cla == 0xFF:
        return "for the reader itself"
    if 0x20 <= cla <= 0x3F:
        return "reserved"
    family = "proprietary" if cla & 0x80 else "interindustry"
    if cla & 0x40:
        messaging = _MESSAGING[2 if cla & 0x20 else 0]
        channel = 4 + (cla & 0x0F)
    elif cla & 0xE0 == 0x00 or cla & 0xF0 == 0x80 or (cla & 0xF0 == 0x90 and standard == "saifu"):
        messaging, channel = _MESSAGING[cla >> 2 & 3], cla & 3
    else:
        return family
    if cla & 0x80 and cla & 0x0C and not cla & 0x40:
        messaging = "secure messaging"
    chained = ", more of the chain follows" if cla & 0x10 else ""
    return f"{family}, {messaging}, channel {channel}{chained}"


def parameter_words(header: bytes, name: str, application: str) -> tuple[str, str] | str:
    """P1 and P2 of a command of that name: words for each, or for both together."""
    say = _SAY.get(name.split(" [")[0].split(":")[0])
    return say(header[2], header[3], application) if say else ("", "")


Words = tuple[str, str] | str

_BY = {
    0x00: "by file identifier",
    0x01: "child DF",
    0x02: "file under the current DF",
    0x03: "parent DF",
    0x04: "by name",
    0x08: "by path from the master file",
    0x09: "by path from the current DF",
}
_OCCURRENCE = ("first or only", "last", "next", "previous")
_GIVES = ("FCI", "FCP", "FMD", "no data")


def _select(p1: int, p2: int, _: str) -> Words:
    return _BY.get(p1, ""), f"{_OCCURRENCE[p2 & 3]}, answers with {_GIVES[p2 >> 2 & 3]}" if p2 < 0x10 else ""


_RECORDS = (
    "first record of identifier P1",
    "last record of identifier P1",
    "next record of identifier P1",
    "previous record of identifier P1",
    "record P1",
    "records from P1 to the last",
    "records from the last to P1",
)


def _record(p1: int, p2: int, _: str) -> Words:
    file = f"file {p2 >> 3}" if p2 >> 3 else "current file"
    which = dict(enumerate(_RECORDS)).get(p2 & 7, "")
    return f"record {p1}" if p1 else "current record", f"{file}, {which}".removesuffix(", ")


def _binary(p1: int, p2: int, _: str) -> Words:
    if p1 & 0x80:
        return f"file {p1 & 0x1F}", f"offset {p2}"
    return f"offset {p1 << 8 | p2}"


_OBJECTS = {row.number: row.name for row in DATA_OBJECTS}


def _data(p1: int, p2: int, application: str) -> Words:
    number = p1 << 8 | p2
    if application == "PC/SC":
        return {0x00: "identifier of the card (UID)", 0x01: "historical bytes"}.get(p1, ""), ""
    if application in ("", "saifu") and number in _OBJECTS:
        return f"object {number:04X}: {_OBJECTS[number]}"
    if number == 0x3FFF:
        return "current file"
    name = tag_name(number, application)
    return f"object {number:04X}: {name}" if name else f"object {number:04X}"


def _reference(_p1: int, p2: int, application: str) -> Words:
    if application == "EMV" and p2 in (0x80, 0x88):
        return "", "PIN in clear" if p2 == 0x80 else "PIN, enciphered"
    kind = "specific" if p2 & 0x80 else "global"
    return "", f"{kind} reference data {p2 & 0x1F}" if p2 & 0x1F else ""


def _channel(p1: int, p2: int, _: str) -> Words:
    number = f"channel {p2}" if p2 else "number from the card" if p1 == 0 else ""
    return {0x00: "open", 0x80: "close"}.get(p1, ""), number


_LEVELS = ((0x01, "C-MAC"), (0x02, "C-ENC"), (0x10, "R-MAC"), (0x20, "R-ENC"))


def _external(p1: int, _p2: int, _: str) -> Words:
    """Security levels of GlobalPlatform, Amendment D 7.1.2.1; ISO names an algorithm here."""
    return ", ".join(word for bit, word in _LEVELS if p1 & bit) or "no algorithm or level given", ""


def _initialize(p1: int, p2: int, _: str) -> Words:
    return f"key version {p1}" if p1 else "any key version", f"key identifier {p2}" if p2 else ""


_ENCRYPTED = ("", "encryption by application", "", "values encrypted with the DEK")
_FORMATS = ("", "DGIs", "BER-TLV", "")


def _put_key(p1: int, p2: int, _: str) -> Words:
    """Card Specification 11.8.2: bit 8 of P1 says that more commands follow, of P2 that several keys come."""
    version = f"replace key version {p1 & 0x7F}" if p1 & 0x7F else "a new set of keys"
    several = "several keys, the first is " if p2 & 0x80 else ""
    return version + (", more follow" if p1 & 0x80 else ""), f"{several}key {p2 & 0x7F}"


def _store(p1: int, p2: int, _: str) -> Words:
    last = "last block" if p1 & 0x80 else "more blocks follow"
    return ", ".join(filter(None, (last, _ENCRYPTED[p1 >> 5 & 3], _FORMATS[p1 >> 3 & 3]))), f"block {p2}"


def _load(p1: int, p2: int, _: str) -> Words:
    return "last block" if p1 & 0x80 else "more blocks follow", f"block {p2}"


def _install(p1: int, _p2: int, _: str) -> Words:
    return " and ".join(["for", *(word for bit, word in INSTALL_FOR if p1 & bit)]) if p1 & 0x7E else "", ""


_LISTED = (
    (0x80, "issuer security domain"),
    (0x40, "applications and security domains"),
    (0x20, "executable load files"),
    (0x10, "executable load files and modules"),
)


def _status(p1: int, p2: int, _: str) -> Words:
    more = "next" if p2 & 1 else "first or all"
    return ", ".join(word for bit, word in _LISTED if p1 & bit), f"{more}, {'TLV' if p2 & 2 else 'old form'}"


def _set_status(p1: int, p2: int, _: str) -> Words:
    kinds = {0x80: "issuer security domain", 0x40: "application", 0x60: "security domain and its applications"}
    return kinds.get(p1, ""), f"state {p2:02X}"


def _delete(_p1: int, p2: int, _: str) -> Words:
    return "", "with related objects" if p2 & 0x80 else "this object alone"


def _cryptogram(p1: int, _p2: int, _: str) -> Words:
    return CRYPTOGRAMS[p1 & 0xC0] + (", with CDA" if p1 & 0x10 else ""), ""


def _generate(p1: int, _p2: int, _: str) -> Words:
    return {0x80: "make a pair", 0x81: "read the public key"}.get(p1, ""), ""


_SAY: dict[str, Callable[[int, int, str], Words]] = {
    "SELECT": _select,
    **dict.fromkeys(("READ RECORD", "UPDATE RECORD", "WRITE RECORD", "ERASE RECORD", "SEARCH RECORD"), _record),
    **dict.fromkeys(("READ BINARY", "UPDATE BINARY", "WRITE BINARY", "ERASE BINARY", "SEARCH BINARY"), _binary),
    **dict.fromkeys(("GET DATA", "PUT DATA"), _data),
    **dict.fromkeys(("VERIFY", "CHANGE REFERENCE DATA", "RESET RETRY COUNTER"), _reference),
    **dict.fromkeys(("ENABLE VERIFICATION REQUIREMENT", "DISABLE VERIFICATION REQUIREMENT"), _reference),
    "MANAGE CHANNEL": _channel,
    "EXTERNAL AUTHENTICATE": _external,
    "INITIALIZE UPDATE": _initialize,
    "PUT KEY": _put_key,
    "STORE DATA": _store,
    "LOAD": _load,
    "INSTALL": _install,
    "GET STATUS": _status,
    "SET STATUS": _set_status,
    "DELETE": _delete,
    "GENERATE AC": _cryptogram,
    **dict.fromkeys(("GENERATE KEY PAIR", "GENERATE ASYMMETRIC KEY PAIR"), _generate),
}
"""What P1 and P2 say, by the name of the command; odd instructions of BINARY have their offset in the data."""
