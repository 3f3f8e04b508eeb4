"""Any card's exchange by the names of the standards, with the sizes of what is in it."""

from collections.abc import Callable

from apdu.counting import counted
from apdu.trace.detail_ber import tag_name
from apdu.trace.detail_header import parameter_words
from apdu.trace.expectations import NO_ANSWER
from apdu.trace.meaning_commands import application_text, file_text
from apdu.trace.meaning_words import hex_text
from apdu.trace.names import status_of
from apdu.trace.names_emv import CRYPTOGRAMS

__all__ = ["generic_outcome", "generic_what"]

_BY_NAME, _PARENT, _BY_IDENTIFIER, _BY_PATH = 0x04, 0x03, (0x00, 0x01, 0x02), (0x08, 0x09)
_MASTER_FILE, _IDENTIFIER, _ABSOLUTE = b"\x3f\x00", 2, 4
_CPLC, _GLOBALPLATFORM = 0x9F7F, "GlobalPlatform"
_INITIALIZE_UPDATE, _CHIP, _PROTOCOL = 0x50, 28, 11
"""Instruction, bytes of its shortest answer, and where the number of the protocol is (Amendment D 7.1.1.6)."""
_NOTHING_WAITS = 0x6985, 0xC0
"""Status word and instruction: GET RESPONSE, and no answer is held."""


def generic_what(command: bytes, data: bytes | None, name: str, application: str) -> str:
    """The command of that name in words; ``data`` is None where its length fields do not fit."""
    if len(command) < 4:
        return command.hex().upper()
    if data is None:
        return f"{counted(len(command), 'byte')} whose length fields do not fit"
    kind = name.split(" [")[0].split(":")[0]
    if kind == "SELECT" and (told := _selected(command[2], data)):
        return told
    told = _LINES[kind](command[2], command[3], application) if kind in _LINES else ""
    told = told or _parameters(command, name, application)
    return told + (f", {counted(len(data), 'byte')}" if data else "")


def _selected(p1: int, data: bytes) -> str:
    """What SELECT names (ISO 7816-4 11.2.2, GSM 11.11 9.2.1)."""
    if p1 == _BY_NAME and data:
        return application_text(data)
    if p1 == 0 and data in (b"", _MASTER_FILE):
        return "master file"
    if p1 in _BY_IDENTIFIER and len(data) == _IDENTIFIER:
        return f"file {data.hex().upper()}"
    return f"path {hex_text(data)}" if p1 in _BY_PATH and data else "parent DF" if p1 == _PARENT and not data else ""


def _parameters(command: bytes, name: str, application: str) -> str:
    """P1 and P2 as the detail tells them."""
    words = parameter_words(command[:4], name, application)
    told = words if isinstance(words, str) else ", ".join(filter(None, words))
    return told or f"P1 P2 {command[2:4].hex().upper()}"


def _record(p1: int, p2: int, _: str) -> str:
    return f"record {p1} of {file_text(p2 >> 3)}" if p1 and p2 & 7 == _ABSOLUTE else ""


def _binary(p1: int, p2: int, _: str) -> str:
    if p1 & 0x80:
        return f"offset {p2} of {file_text(p1 & 0x1F)}"
    return f"offset {p1 << 8 | p2} of the current file"


def _cryptogram(p1: int, _p2: int, _: str) -> str:
    return CRYPTOGRAMS[p1 & 0xC0].partition(":")[0]


def _object(p1: int, p2: int, application: str) -> str:
    number = p1 << 8 | p2
    # nobody asks for what EMV calls so
    name = tag_name(number, _GLOBALPLATFORM if number == _CPLC else application)
    return f"{number:02X} {name}" if name else ""


_RECORDS = ("READ RECORD", "UPDATE RECORD", "WRITE RECORD", "ERASE RECORD")
_BINARIES = ("READ BINARY", "UPDATE BINARY", "WRITE BINARY", "ERASE BINARY")
_LINES: dict[str, Callable[[int, int, str], str]] = {
    **dict.fromkeys(_RECORDS, _record),
    **dict.fromkeys(_BINARIES, _binary),
    "GENERATE AC": _cryptogram,
    "GET DATA": _object,
}
"""By the command's name, from P1 and P2 and what is selected; empty: the detail's words tell more."""


def generic_outcome(response: bytes | None, standard: str, ins: int | None) -> str:
    """The status word in words, and the size of the answer."""
    if response is None or len(response) < 2:
        return NO_ANSWER
    sw, size = int.from_bytes(response[-2:]), len(response) - 2
    if (sw, ins) == _NOTHING_WAITS:
        return f"{sw:04X} conditions of use not satisfied (nothing waits)"
    if sw == 0x9000 and ins == _INITIALIZE_UPDATE and size >= _CHIP:
        return f"9000: SCP{response[_PROTOCOL]:02X}, {counted(size, 'byte')}"
    text = "" if sw == 0x9000 else f" {status_of(sw, standard, ins)}"
    return f"{sw:04X}{text}" + (f": {counted(size, 'byte')}" if size else "")
