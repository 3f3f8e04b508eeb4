"""Names of commands and status words of any card: ours, ISO 7816-4, GlobalPlatform, EMV, GSM, and the reader's own.

The same bytes may be two standards' commands. What is known to be selected decides; where nothing is,
the order of ``ORDER[""]`` does: our own table, GlobalPlatform, EMV, ISO 7816-4, GSM, PC/SC.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from apdu.command import CHAINING, SECURE_MESSAGING
from apdu.commands import BY_INS
from apdu.status import STATUS_TEXT, status_text, tries_left
from apdu.trace import names_emv, names_globalplatform, names_gsm, names_iso

__all__ = ["GSM", "ORDER", "PCSC", "Named", "name_of", "status_of"]

SAIFU, ISO, GLOBALPLATFORM, EMV, PCSC, GSM = "saifu", "ISO 7816-4", "GlobalPlatform", "EMV", "PC/SC", "GSM 11.11"

_REMEMBERED = 4096
"""Headers and status words whose names are kept: far more than any program sends, and bounded."""


class Named(NamedTuple):
    """A command's name and whose it is; of one that nobody knows ``CLA B0 INS 14`` and an empty standard."""

    name: str
    standard: str


def _own(header: bytes) -> Named | None:
    """By the table of apdu/commands.py: its class with or without secure messaging and chaining."""
    row = BY_INS.get(header[1])
    if row is None or (header[0] ^ row.cla) & ~(CHAINING | SECURE_MESSAGING):
        return None
    if row.clause.startswith("ISO"):
        # GENERATE KEY PAIR is of part 8
        return Named(row.name, " ".join(row.clause.split()[:2]))
    return Named(row.name, GLOBALPLATFORM if row.clause.startswith("GP") else SAIFU)


def _iso(header: bytes) -> Named | None:
    """Interindustry classes 00 to 7F (ISO 7816-4 clause 5.4.1)."""
    name = names_iso.COMMANDS.get(header[1])
    if name is None or header[0] & 0x80:
        return None
    return Named(name + _flavour(header), ISO)


def _flavour(header: bytes) -> str:
    """What P1 and P2 make of the two commands that are many (ISO 7816-8 clause 5.3, ISO 7816-4 clause 11.6.11)."""
    if len(header) < 4:
        return ""
    if header[1] == 0x22:
        kind = names_iso.ENVIRONMENT.get(header[2] & 0x0F)
    else:
        kind = names_iso.OPERATIONS.get((header[2], header[3])) if header[1] in (0x2A, 0x2B) else None
    return f": {kind}" if kind else ""


def _globalplatform(header: bytes) -> Named | None:
    """Classes 80 to 8F and C0 to FE (GlobalPlatform 2.3 clause 11.1.4)."""
    cla, ins = header[0], header[1]
    name = names_globalplatform.COMMANDS.get(ins)
    if name is None or not (0x80 <= cla <= 0x8F or 0xC0 <= cla <= 0xFE):
        return None
    purposes = [word for bit, word in names_globalplatform.INSTALL_FOR if header[2:3] and header[2] & bit]
    return Named(f"{name} [for {' and '.join(purposes)}]" if ins == 0xE6 and purposes else name, GLOBALPLATFORM)


def _emv(header: bytes) -> Named | None:
    """Classes 80 to 8F (EMV Book 3 clause 6.3.2)."""
    name = names_emv.COMMANDS.get(header[1])
    return Named(name, EMV) if name is not None and header[0] & 0xF0 == 0x80 else None


def _gsm(header: bytes) -> Named | None:
    """Class A0 (GSM 11.11 clause 9.2); the commands of a USIM are those of ISO 7816-4."""
    name = names_gsm.COMMANDS.get(header[1])
    return Named(name, GSM) if name is not None and header[0] == 0xA0 else None


def _pcsc(header: bytes) -> Named | None:
    """Class FF: for the reader and not for the card (PC/SC part 3, 3.2.2)."""
    name = names_iso.PSEUDO_COMMANDS.get(header[1])
    return Named(name, PCSC) if name is not None and header[0] == 0xFF else None


ORDER: dict[str, tuple[Callable[[bytes], Named | None], ...]] = {
    SAIFU: (_own, _globalplatform, _iso, _gsm, _pcsc),
    GLOBALPLATFORM: (_globalplatform, _iso, _gsm, _pcsc),
    EMV: (_emv, _globalplatform, _iso, _gsm, _pcsc),
    ISO: (_iso, _globalplatform, _gsm, _pcsc),
    "": (_own, _globalplatform, _emv, _iso, _gsm, _pcsc),
}
"""Who is asked, by what is selected; every card may have GlobalPlatform's commands beside its own."""


@lru_cache(_REMEMBERED)
def _named(header: bytes, application: str) -> Named:
    if len(header) < 2:
        return Named(f"CLA {header.hex().upper()}" if header else "no command", "")
    for asked in ORDER.get(application, ORDER[ISO]):
        if (named := asked(header)) is not None:
            return named
    return Named(f"CLA {header[0]:02X} INS {header[1]:02X}", "")


def name_of(command: bytes, application: str = "") -> Named:
    """Name a command by its header; ``application`` is what is selected: a standard of ORDER, or empty."""
    return _named(bytes(command[:4]), application)


_SPECIFIC = {
    GLOBALPLATFORM: (names_globalplatform.STATUS_BY_INS, names_globalplatform.STATUS),
    EMV: (names_emv.STATUS_BY_INS, names_emv.STATUS),
}


@lru_cache(_REMEMBERED)
def status_of(sw: int, application: str = "", ins: int | None = None) -> str:
    """Say in words what any card's status word means; ``ins`` makes it more precise, unknown words say so.

    Words that carry a number (61xx, 63Cx, 6Cxx) read as in apdu.status, and so does every word of our purse.
    """
    by_number = sw >> 8 in (0x61, 0x6C) or tries_left(sw) is not None
    ours = application == SAIFU or (not application and sw >> 8 == 0x95)
    if by_number or (ours and sw in STATUS_TEXT):
        return status_text(sw)
    if ins is not None and (text := _by_instruction(sw, application, ins)):
        return text
    if application == GSM and (text := names_gsm.status_of_sim(sw)):
        return text
    specific = _SPECIFIC[application][1].get(sw) if application in _SPECIFIC else None
    return specific or names_iso.STATUS.get(sw) or _unspecified(sw, application)


def _by_instruction(sw: int, application: str, ins: int) -> str | None:
    tables = ((_SPECIFIC[application][0],) if application in _SPECIFIC else ()) + (names_iso.STATUS_BY_INS,)
    return next((table[sw, ins] for table in tables if (sw, ins) in table), None)


def _unspecified(sw: int, application: str) -> str:
    """A word that no table has: what its first byte says (ISO 7816-4 clause 5.6)."""
    if application in ("", GLOBALPLATFORM) and (text := names_globalplatform.STATUS.get(sw)):
        return text
    sw1, sw2 = sw >> 8, sw & 0xFF
    if sw1 in (0x62, 0x64) and 0x02 <= sw2 <= 0x80:
        return f"the card has a query of {sw2} bytes"
    if sw1 >> 4 == 0x9:
        return "a word of the application, not known here"
    return names_iso.STATUS_CLASSES.get(sw1, "no status word of ISO 7816-4")
