"""Values of known tags in words: names, dates, amounts, bit fields (EMV Books 1 and 3, GlobalPlatform, X.690)."""

from collections.abc import Callable, Mapping

from apdu.counting import counted
from apdu.money import currency
from apdu.trace.applications import find_application
from apdu.trace.detail_tree import text
from apdu.trace.names import status_of
from apdu.trace.names_emv import AIP, CRYPTOGRAMS, TSI, TVR
from apdu.trace.names_globalplatform import PRIVILEGES

__all__ = ["aid_words", "bits", "cryptogram", "privileges", "value_words"]

_STATES = {0x01: "loaded", 0x03: "installed", 0x07: "selectable", 0x0F: "personalized or secured", 0x7F: "locked"}
_OID_LONGEST = 64


def aid_words(value: bytes) -> str:
    """Whose name this is, or the name as text."""
    found = find_application(value)
    return found.name if found else text(value)


def bits(value: bytes, names: Mapping[int, str]) -> str:
    """The names of the bits that are set; bits without a name are left out."""
    number = int.from_bytes(value)
    return ", ".join(name for bit, name in names.items() if number & bit)


def cryptogram(value: bytes) -> str:
    """Which cryptogram it is (EMV Book 3, table 15)."""
    return CRYPTOGRAMS[value[0] & 0xC0] if value else ""


def privileges(value: bytes) -> str:
    """Privileges of a GlobalPlatform application, one to three bytes (11.1.2)."""
    named = (name for i, name in enumerate(PRIVILEGES) if i // 8 < len(value) and value[i // 8] & 0x80 >> i % 8)
    return ", ".join(named) or "none"


def _number(value: bytes) -> str:
    return str(int.from_bytes(value)) if 0 < len(value) <= 8 else ""


def _digits(value: bytes) -> str:
    """Binary-coded decimal digits, or nothing if they are none."""
    digits = value.hex()
    return digits if digits.isdecimal() else ""


def _date(value: bytes) -> str:
    """YYMMDD in decimal digits; years of this century."""
    digits = _digits(value)
    return f"20{digits[:2]}-{digits[2:4]}-{digits[4:]}" if len(digits) == 6 else ""


def _time(value: bytes) -> str:
    digits = _digits(value)
    return f"{digits[:2]}:{digits[2:4]}:{digits[4:]}" if len(digits) == 6 else ""


def _amount(value: bytes) -> str:
    digits = _digits(value)
    return f"{int(digits)} minor units" if digits else ""


def _currency(value: bytes) -> str:
    digits = _digits(value)
    return currency(int(digits)).code if len(digits) == 4 else ""


def _tries(value: bytes) -> str:
    return f"{counted(value[0], 'try', 'tries')} left" if len(value) == 1 else ""


def _file(value: bytes) -> str:
    return {b"\x3f\x00": "master file", b"\x3f\xff": "current application", b"\x2f\x00": "EF.DIR"}.get(value, "")


def _short_file(value: bytes) -> str:
    return f"file {value[0] >> 3 or value[0]}" if len(value) == 1 else ""


def _state(value: bytes) -> str:
    return _STATES.get(value[0], "") if value else ""


def _oid(value: bytes) -> str:
    """An object identifier with dots (ITU-T X.690, 8.19)."""
    if not 0 < len(value) <= _OID_LONGEST or value[-1] & 0x80:
        return ""
    arcs, arc = [], 0
    for byte in value:
        arc = arc << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def _status(value: bytes) -> str:
    return status_of(int.from_bytes(value), "ISO 7816-4") if len(value) == 2 else ""


_EVERYWHERE: dict[int, Callable[[bytes], str]] = {
    0x06: _oid,
    0x4F: aid_words,
    0x5F24: _date,
    0x5F25: _date,
}
"""Tags that mean one thing in every standard."""

_CONTEXTUAL: dict[str, Callable[[bytes], str]] = {
    "DF name": aid_words,
    "application identifier of the terminal": aid_words,
    "directory definition file name": aid_words,
    "application interchange profile (AIP)": lambda value: bits(value, AIP),
    "terminal verification results (TVR)": lambda value: bits(value, TVR) or "nothing against it",
    "transaction status information (TSI)": lambda value: bits(value, TSI),
    "cryptogram information data": cryptogram,
    "transaction date": _date,
    "transaction time": _time,
    "amount authorised": _amount,
    "amount other": _amount,
    "transaction currency code": _currency,
    "application currency code": _currency,
    "application transaction counter (ATC)": _number,
    "last online ATC": _number,
    "application priority indicator": lambda value: f"priority {value[0] & 0x0F}" if len(value) == 1 else "",
    "PIN tries left": _tries,
    "short file identifier": _short_file,
    "file identifier": _file,
    "bytes of data in the file": _number,
    "bytes of the file with structure": _number,
    "executable load file": aid_words,
    "associated security domain": aid_words,
    "privileges": privileges,
    "life cycle state": _state,
    "status word": _status,
}
"""Values by the name that the tag has where it stands: the numbers are used again in other places."""


def value_words(tag: int, name: str, value: bytes) -> str:
    """A value in words: by its tag or the tag's name, else as text if it is text, else nothing."""
    say = _EVERYWHERE.get(tag) or _CONTEXTUAL.get(name)
    return (say(value) if say else "") or text(value)
