"""Cards in PC/SC readers, on Linux, macOS and Windows. Only this file imports pyscard, and only when called.

The plain functions of PC/SC are used rather than pyscard's classes, because their return codes say what
became of a command. PC/SC has no time limit for a command: the reader and the card agree on one between them
(ISO 7816-3 clause 11.3), so a ``timeout`` for a single command cannot be offered here.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from apdu.errors import (
    CardRemovedError,
    CardResetError,
    NoCardError,
    NoReaderError,
    OutcomeUnknownError,
    PcscUnavailableError,
    ReaderBusyError,
    ReaderError,
)
from apdu.protocol import Protocol as TransmissionProtocol
from host.connection import CardConnection, Ejection

__all__ = ["PcscSlot", "Reader", "find_pyscard", "find_reader", "list_readers"]


class _Scard(Protocol):
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
    SCardStatus: Callable[[int], tuple[int, str, int, int, list[int]]]
    SCardGetErrorMessage: Callable[[int], str]
    SCARD_PCI_T0: int
    SCARD_PCI_T1: int


_SCOPE_USER, _SHARE_SHARED, _T0, _T1 = 0, 2, 1, 2
_LEAVE, _RESET, _EJECT = 0, 1, 3
_STATE_UNAWARE, _STATE_CHANGED, _STATE_PRESENT = 0, 2, 0x20

_SUCCESS = 0
_INVALID_HANDLE, _NO_SERVICE, _SERVICE_STOPPED = 0x80100003, 0x8010001D, 0x8010001E
_COMM_ERROR, _NO_READERS, _TIMEOUT = 0x80100013, 0x8010002E, 0x8010000A
_SHARING_VIOLATION, _NO_SMARTCARD, _REMOVED_CARD, _RESET_CARD = 0x8010000B, 0x8010000C, 0x80100069, 0x80100068

_SERVICE_LOST = {_INVALID_HANDLE, _NO_SERVICE, _SERVICE_STOPPED, _COMM_ERROR}
"""What a call says after the service has ended or was restarted; which one depends on the call and system."""

_NO_PCSC = "the PC/SC service does not answer: `saifu doctor` says what is missing"
_BUSY = "another program has {reader} for itself: end it, or wait until it is done (gpg's scdaemon is one)"
_DENIED = (
    "access to {reader} is denied: on Linux polkit decides; it lets in who sits at the machine, "
    "or whom a rule for org.debian.pcsc-lite.access_card names"
)
_GONE = "{reader} is not there any more: plug it in, and look at `saifu reader list`"
_EMPTY = "there is no card in {reader}: put one in"
_MUTE = "the card in {reader} does not answer: put it in the right way round, or clean its contacts"

_MEANINGS: dict[int, tuple[type[ReaderError], str]] = {
    0x80100009: (NoReaderError, _GONE),  # SCARD_E_UNKNOWN_READER
    _SHARING_VIOLATION: (ReaderBusyError, _BUSY),
    _NO_SMARTCARD: (NoCardError, _EMPTY),
    0x8010000F: (ReaderError, "the card in {reader} speaks neither T=0 nor T=1"),  # SCARD_E_PROTO_MISMATCH
    0x80100017: (NoReaderError, _GONE),  # SCARD_E_READER_UNAVAILABLE
    _NO_SERVICE: (PcscUnavailableError, _NO_PCSC),
    _SERVICE_STOPPED: (PcscUnavailableError, _NO_PCSC),
    0x80100027: (PcscUnavailableError, _DENIED),  # SCARD_E_NO_ACCESS
    _NO_READERS: (NoReaderError, "there is no reader: plug one in, or start `saifu reader run`"),
    0x80100065: (ReaderError, "the reader {reader} does not work with this card"),  # SCARD_W_UNSUPPORTED_CARD
    0x80100066: (NoCardError, _MUTE),  # SCARD_W_UNRESPONSIVE_CARD
    0x80100067: (NoCardError, _MUTE),  # SCARD_W_UNPOWERED_CARD
    _RESET_CARD: (CardResetError, "another program has reset the card in {reader}: start again"),
    _REMOVED_CARD: (CardRemovedError, "the card was taken out of {reader}: put it in again"),
    0x8010006A: (PcscUnavailableError, _DENIED),  # SCARD_W_SECURITY_VIOLATION
}
"""Return code, from outside a command: the error that it is, and what to do."""

_NOT_SENT = {_SHARING_VIOLATION, _RESET_CARD} | ({_REMOVED_CARD} if sys.platform == "linux" else set())
"""Codes of a command that surely has not reached the card.

pcsc-lite looks for a removal before it sends. Other systems give the same code when the card is pulled out in
the middle. SCARD_E_NO_SMARTCARD is from before and from the middle in pcsc-lite too: there, as after every
code that is not in this set, the card may have acted.
"""


def _scard() -> _Scard:
    try:
        from smartcard import scard
    except ImportError as error:
        raise PcscUnavailableError(
            f"PC/SC needs the Python package pyscard ({error}): `saifu doctor` says how to get it; "
            "cards in files (--reader model:FILE) work without"
        ) from None
    api: _Scard = scard
    return api


def find_pyscard() -> Path:
    """Return where pyscard lies; raises PcscUnavailableError."""
    _scard()
    return Path(sys.modules["smartcard"].__path__[0])


def _fail(code: int, reader: str) -> NoReturn:
    error, text = _MEANINGS.get(code, (ReaderError, f"{{reader}}: {_in_words(code)}"))
    raise error(text.format(reader=reader))


def _in_words(code: int) -> str:
    return f"{_scard().SCardGetErrorMessage(code)} (PC/SC code {code:08X})"


def _check(code: int, reader: str) -> None:
    """PC/SC's codes are 32 bits without a sign on some systems and with one on others."""
    if code & 0xFFFFFFFF != _SUCCESS:
        _fail(code & 0xFFFFFFFF, reader)


@dataclass(frozen=True, slots=True)
class Reader:
    """A PC/SC reader, or one slot of one, as it is now."""

    number: int
    """Its place in the list, from 0; may change when readers come and go."""
    name: str
    atr: bytes | None
    """The card's answer to reset (ISO 7816-3 clause 8); None without a card, empty for a mute one."""

    @property
    def card_present(self) -> bool:
        """Whether there is a card in it."""
        return self.atr is not None


@contextlib.contextmanager
def _context() -> Iterator[int]:
    code, context = _scard().SCardEstablishContext(_SCOPE_USER)
    _check(code, "PC/SC")
    try:
        yield context
    finally:
        _scard().SCardReleaseContext(context)


def list_readers() -> list[Reader]:
    """Return the readers that there are, in PC/SC's order; raises PcscUnavailableError."""
    with _context() as context:
        code, names = _scard().SCardListReaders(context, [])
        if code & 0xFFFFFFFF == _NO_READERS or not names:
            return []
        _check(code, "PC/SC")
        code, states = _scard().SCardGetStatusChange(context, 0, [(name, _STATE_UNAWARE) for name in names])
        _check(code, "PC/SC")
    return [
        Reader(number, name, bytes(atr) if state & _STATE_PRESENT else None)
        for number, (name, state, atr) in enumerate(states)
    ]


def find_reader(text: str) -> Reader:
    """Return the reader of that number, that name, or whose name alone has that part.

    Raises NoReaderError, which lists what there is, and PcscUnavailableError.
    """
    readers = list_readers()
    exact = [each for each in readers if text in (str(each.number), each.name)]
    found = exact or [each for each in readers if text.casefold() in each.name.casefold()]
    if len(found) != 1:
        known = "; ".join(f"{each.number} {each.name}" for each in found or readers) or "none at all"
        problem = "several readers match" if found else "no reader is called"
        raise NoReaderError(f"{problem} {text!r}; there is: {known}")
    return found[0]


class PcscSlot:
    """One PC/SC reader as a CardSlot, with a PC/SC context of its own: two slots never wait in turn.

    After any error the slot can be used again: ``connect`` makes anew what was lost, the context too.
    """

    def __init__(self, name: str) -> None:
        """``name`` is the reader's full name, see ``find_reader``; nothing is opened yet."""
        self._name = name
        self._context: int | None = None
        self._handle: int | None = None
        self._protocol = _T1
        self._transactions = 0

    @property
    def name(self) -> str:
        """The reader's name."""
        return self._name

    @property
    def protocol(self) -> TransmissionProtocol:
        """The transmission protocol that reader and card have agreed on; T=1 before ``connect``."""
        return TransmissionProtocol.T0 if self._protocol == _T0 else TransmissionProtocol.T1

    def connect(self) -> CardConnection:
        """Reset the card and return the way to it; within ``transaction``, the transaction holds on.

        The card is always reset: whether it was powered just now or by a program that left a file selected
        and a PIN verified cannot be told apart. Waits for the end of another program's transaction, as PC/SC
        does. Raises NoCardError, ReaderBusyError, NoReaderError or PcscUnavailableError.
        """
        if not self._reset():
            self._let_go()
            self._open()
            if not self._reset():
                raise NoCardError(_MUTE.format(reader=self._name))
            if self._transactions:
                self._check(_scard().SCardBeginTransaction(self._card()))
        return _PcscConnection(self)

    def _reset(self) -> bool:
        """Reset the card on the handle, which keeps its transaction; False if there is none any more."""
        if self._handle is None:
            return False
        code, protocol = _scard().SCardReconnect(self._handle, _SHARE_SHARED, _T0 | _T1, _RESET)
        if code & 0xFFFFFFFF == _SHARING_VIOLATION:
            _check(code, self._name)
        if code == _SUCCESS:
            self._protocol = protocol
        return code == _SUCCESS

    def _open(self) -> None:
        code = _INVALID_HANDLE if self._context is None else self._try_to_open(self._context)
        if code in _SERVICE_LOST:  # the context is of a service that has ended since
            self._release()
            new_code, self._context = _scard().SCardEstablishContext(_SCOPE_USER)
            self._check_new_context(new_code)
            code = self._try_to_open(self._context)
        self._check(code)

    def _check_new_context(self, code: int) -> None:
        if code != _SUCCESS:
            self._context = None
            _check(code, self._name)

    def _try_to_open(self, context: int) -> int:
        code, handle, protocol = _scard().SCardConnect(context, self._name, _SHARE_SHARED, _T0 | _T1)
        if code == _SUCCESS:
            self._handle, self._protocol = handle, protocol
        return code & 0xFFFFFFFF

    def _card(self) -> int:
        if self._handle is None:
            raise CardRemovedError(f"the card in {self._name} was let go: connect to it again")
        return self._handle

    def _check(self, code: int) -> None:
        """As ``_check``, for a slot that was in use: a service that is lost was there before."""
        if code & 0xFFFFFFFF in _SERVICE_LOST:
            raise PcscUnavailableError(f"{self._restarted()}: connect to the card again")
        _check(code, self._name)

    def _restarted(self) -> str:
        return f"the PC/SC service has stopped or was restarted while {self._name} was in use"

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep other programs off the card; may be nested, and may begin before ``connect``.

        Waits until another program's transaction ends. Raises CardResetError or CardRemovedError if somebody
        has been at the card since ``connect``.
        """
        if self._handle is not None and not self._transactions:
            self._check(_scard().SCardBeginTransaction(self._handle))
        self._transactions += 1
        try:
            yield
        finally:
            self._transactions -= 1
            if self._handle is not None and not self._transactions:
                # no check: a transaction that cannot be ended has ended, with its card, reader or service
                _scard().SCardEndTransaction(self._handle, _LEAVE)

    def transmit(self, command: bytes) -> bytes:
        """Send a command to the connected card, see CardConnection."""
        pci = _scard().SCARD_PCI_T0 if self._protocol == _T0 else _scard().SCARD_PCI_T1
        code, answer = _scard().SCardTransmit(self._card(), pci, list(self._as_sent(command)))
        if code & 0xFFFFFFFF in _NOT_SENT:
            _check(code, self._name)
        if code != _SUCCESS or len(answer) < 2:  # vpcd's word for a card pulled out in the middle is no bytes
            why = self._why_unknown(code & 0xFFFFFFFF)
            raise OutcomeUnknownError(f"{why}; {OutcomeUnknownError.recovery}")
        return bytes(answer)

    def atr(self) -> bytes:
        """The connected card's answer to reset; empty if the card is gone. Raises CardRemovedError."""
        code, _, _, _, atr = _scard().SCardStatus(self._card())
        return bytes(atr) if code == _SUCCESS else b""

    def _as_sent(self, command: bytes) -> bytes:
        """At T=0 a command with data goes without its Le (ISO 7816-3 clause 12.2.1, case 4S)."""
        with_data = len(command) > 5 and command[4]
        return command[: 5 + command[4]] if self._protocol == _T0 and with_data else command

    def _why_unknown(self, code: int) -> str:
        if code in _SERVICE_LOST:
            return self._restarted()
        reason = _in_words(code) if code != _SUCCESS else "the card was taken out in the middle of it"
        return f"a command was sent to the card in {self._name} and no answer came: {reason}"

    def card_present(self) -> bool:
        """Return whether there is a card in the reader, whoever uses it."""
        return self.wait_for_card(seconds=0)

    def wait_for_card(self, *, present: bool = True, seconds: float) -> bool:
        """Wait until a card is put in, or taken out; return False if ``seconds`` pass before."""
        end = time.monotonic() + seconds
        with _context() as context:
            state = self._state(context, _STATE_UNAWARE, 0)
            while bool(state & _STATE_PRESENT) != present and (left := end - time.monotonic()) > 0:
                # in pieces, so that Ctrl-C is heard
                state = self._state(context, state & ~_STATE_CHANGED, min(left, 0.5))
        return bool(state & _STATE_PRESENT) == present

    def _state(self, context: int, known: int, seconds: float) -> int:
        """The reader's state, once it is other than what is known or the time is over."""
        code, states = _scard().SCardGetStatusChange(context, int(seconds * 1000), [(self._name, known)])
        if code & 0xFFFFFFFF == _TIMEOUT:
            return known
        _check(code, self._name)
        return states[0][1]

    def eject(self) -> Ejection:
        """Put the card out (S110, S313); on a reader that cannot, it is powered off."""
        if self._handle is None:
            try:
                self._open()
            except NoCardError:
                return Ejection.EJECTED
        code = _scard().SCardDisconnect(self._card(), _EJECT)
        self._handle = None
        if not self.card_present():
            return Ejection.EJECTED
        self._check(code)
        return Ejection.REMOVE_BY_HAND

    def close(self) -> None:
        """Let go of the card and leave it in the slot, reset: no PIN stays verified for the next program."""
        self._let_go(_RESET)
        self._release()

    def _let_go(self, disposition: int = _LEAVE) -> None:
        """No checks here or in ``_release``: what cannot be given back is gone."""
        if self._handle is not None:
            _scard().SCardDisconnect(self._handle, disposition)
        self._handle = None

    def _release(self) -> None:
        if self._context is not None:
            _scard().SCardReleaseContext(self._context)
        self._context = None


class _PcscConnection:
    """The connected card of a slot."""

    def __init__(self, slot: PcscSlot) -> None:
        self._slot = slot

    @property
    def atr(self) -> bytes:
        """The card's answer to reset; empty if the card is gone. Raises CardRemovedError."""
        return self._slot.atr()

    def transmit(self, command: bytes) -> bytes:
        """Send a command, see CardConnection."""
        return self._slot.transmit(command)
