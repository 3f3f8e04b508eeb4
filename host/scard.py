"""PC/SC's plain functions and their return codes. Only this file imports pyscard, and only when called.

The functions are used rather than pyscard's classes, because their return codes say what became of a command.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from apdu.errors import (
    CardRemovedError,
    CardResetError,
    NoCardError,
    NoReaderError,
    PcscUnavailableError,
    ReaderBusyError,
    ReaderError,
)

__all__ = [
    "MUTE",
    "NOT_SENT",
    "NO_READERS",
    "RESET_CARD",
    "SERVICE_LOST",
    "SUCCESS",
    "TIMEOUT",
    "Scard",
    "check",
    "check_in_use",
    "find_pyscard",
    "in_words",
    "restarted",
    "scard_api",
    "unsigned",
]


class Scard(Protocol):
    """What is used of smartcard.scard, which has no types; each result begins with a return code."""

    SCardEstablishContext: Callable[[int], tuple[int, int]]
    SCardReleaseContext: Callable[[int], int]
    SCardListReaders: Callable[[int, list[str]], tuple[int, list[str]]]
    SCardGetStatusChange: Callable[[int, int, list[tuple[str, int]]], tuple[int, list[tuple[str, int, list[int]]]]]
    SCardConnect: Callable[[int, str, int, int], tuple[int, int, int]]
    SCardReconnect: Callable[[int, int, int, int], tuple[int, int]]
    SCardDisconnect: Callable[[int, int], int]
    SCardBeginTransaction: Callable[[int], int]
    SCardEndTransaction: Callable[[int, int], int]
    SCardTransmit: Callable[[int, int, list[int]], tuple[int, list[int]]]
    SCardGetAttrib: Callable[[int, int], tuple[int, list[int]]]
    SCardStatus: Callable[[int], tuple[int, str, int, int, list[int]]]
    SCardGetErrorMessage: Callable[[int], str]
    SCARD_PCI_T0: int
    SCARD_PCI_T1: int


SUCCESS = 0
_INVALID_HANDLE, _NO_SERVICE, _SERVICE_STOPPED = 0x80100003, 0x8010001D, 0x8010001E
_COMM_ERROR, NO_READERS, TIMEOUT = 0x80100013, 0x8010002E, 0x8010000A
_SHARING_VIOLATION, _NO_SMARTCARD, _REMOVED_CARD, RESET_CARD = 0x8010000B, 0x8010000C, 0x80100069, 0x80100068

SERVICE_LOST = {_INVALID_HANDLE, _NO_SERVICE, _SERVICE_STOPPED, _COMM_ERROR}
"""What a call says after the service has ended or was restarted; which one depends on the call and system."""

_NO_PCSC = "the PC/SC service does not answer: `saifu doctor` says what is missing"
_BUSY = "another program has {reader} for itself: end it, or wait until it is done (gpg's scdaemon is one)"
_DENIED = (
    "access to {reader} is denied: on Linux polkit decides; it lets in who sits at the machine, "
    "or whom a rule for org.debian.pcsc-lite.access_card names"
)
_GONE = "{reader} is not there any more: plug it in, and look at `saifu reader list`"
_EMPTY = "there is no card in {reader}: put one in"
MUTE = "the card in {reader} does not answer: put it in the right way round, or clean its contacts"

_MEANINGS: dict[int, tuple[type[ReaderError], str]] = {
    0x80100009: (NoReaderError, _GONE),  # SCARD_E_UNKNOWN_READER
    _SHARING_VIOLATION: (ReaderBusyError, _BUSY),
    _NO_SMARTCARD: (NoCardError, _EMPTY),
    0x8010000F: (ReaderError, "the card in {reader} speaks neither T=0 nor T=1"),  # SCARD_E_PROTO_MISMATCH
    0x80100017: (NoReaderError, _GONE),  # SCARD_E_READER_UNAVAILABLE
    _NO_SERVICE: (PcscUnavailableError, _NO_PCSC),
    _SERVICE_STOPPED: (PcscUnavailableError, _NO_PCSC),
    0x80100027: (PcscUnavailableError, _DENIED),  # SCARD_E_NO_ACCESS
    NO_READERS: (NoReaderError, "there is no reader: plug one in, or start `saifu reader run`"),
    0x80100065: (ReaderError, "the reader {reader} does not work with this card"),  # SCARD_W_UNSUPPORTED_CARD
    0x80100066: (NoCardError, MUTE),  # SCARD_W_UNRESPONSIVE_CARD
    0x80100067: (NoCardError, MUTE),  # SCARD_W_UNPOWERED_CARD
    RESET_CARD: (CardResetError, "another program has reset the card in {reader}: start again"),
    _REMOVED_CARD: (CardRemovedError, "the card was taken out of {reader}: put it in again"),
    0x8010006A: (PcscUnavailableError, _DENIED),  # SCARD_W_SECURITY_VIOLATION
}
"""Return code, from outside a command: the error that it is, and what to do."""

NOT_SENT = {_SHARING_VIOLATION, RESET_CARD} | ({_REMOVED_CARD} if sys.platform == "linux" else set())
"""Codes of a command that surely has not reached the card.

pcsc-lite looks for a removal before it sends. Other systems give the same code when the card is pulled out in
the middle. SCARD_E_NO_SMARTCARD is from before and from the middle in pcsc-lite too: there, as after every
code that is not in this set, the card may have acted.
"""


def unsigned(code: int) -> int:
    """A return code as it is written down: 32 bits, without the sign that some systems give it."""
    return code & 0xFFFFFFFF


def scard_api() -> Scard:
    """pyscard's plain functions; raises PcscUnavailableError where there is no pyscard."""
    try:
        from smartcard import scard
    except ImportError as error:
        raise PcscUnavailableError(
            f"PC/SC needs the Python package pyscard ({error}): `saifu doctor` says how to get it; "
            "cards in files (--reader model:FILE) work without"
        ) from None
    api: Scard = scard
    return api


def find_pyscard() -> Path:
    """Return where pyscard lies; raises PcscUnavailableError."""
    scard_api()
    return Path(sys.modules["smartcard"].__path__[0])


def in_words(code: int) -> str:
    """A code with PC/SC's own words for it."""
    return f"{scard_api().SCardGetErrorMessage(code)} (PC/SC code {unsigned(code):08X})"


def check(code: int, reader: str) -> None:
    """Raise the ReaderError that a code is, unless it is success."""
    if (plain := unsigned(code)) == SUCCESS:
        return
    if plain not in _MEANINGS:
        raise ReaderError(f"{reader}: {in_words(code)}")
    error, text = _MEANINGS[plain]
    raise error(text.format(reader=reader))


def check_in_use(code: int, reader: str) -> None:
    """As ``check``, for a card that was held: a service that is lost was there before."""
    if unsigned(code) in SERVICE_LOST:
        raise PcscUnavailableError(f"{restarted(reader)}: connect to the card again")
    check(code, reader)


def restarted(reader: str) -> str:
    """What a lost service means for who has used it."""
    return f"the PC/SC service has stopped or was restarted while {reader} was in use"
