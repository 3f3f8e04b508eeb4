"""A card that is held in a PC/SC reader: how it is taken, and the one way of letting it go.

A card is held from ``connect`` to ``eject`` or ``close``. Other programs may be connected to it all the time, in
PC/SC's shared mode, and wait for what we leave behind: a purse that is selected, a PIN that is verified, a secure
channel. So

- it is taken in this order: connect, begin a transaction, reset. From the reset on the card hears us alone.
- there is one way to let it go, ``HeldCard.leave``: the transaction ends with a reset, which comes about before the
  lock is given up, and only then is the card powered off (or put out, where the reader has a motor). Nothing here
  leaves a card as it is, and the transaction has no end of its own that anybody could call.
- whatever ends a process, kill -9 too, ends its transaction. pcsc-lite then resets the card by itself, and gives up the
  lock an instant before (MSGRemoveContext); what other systems do was not tried.

Outside of pcsc-lite, SCardReconnect gives up the transaction; there it is begun anew after the reset.

PC/SC has no time limit for anything: the reader and the card agree on one for a command between them (ISO 7816-3
clause 11.3), and a program may hold a reader as long as it likes. So everything that is said to a card is said by a
thread that nobody has to wait for, see host/patience.py. What was given up is never used again: its thread lets
go of the card as soon as it can, and ``connect`` makes another with a context of its own.
"""

import sys
from dataclasses import dataclass

from apdu.errors import NoCardError, OutcomeUnknownError, ReaderBusyError, ReaderError
from host.patience import GaveUpError, Worker
from host.pcsc_users import users
from host.scard import (
    MUTE,
    NOT_SENT,
    RESET_CARD,
    SERVICE_LOST,
    SUCCESS,
    check,
    in_words,
    restarted,
    scard_api,
    unsigned,
)

__all__ = ["T0", "HeldCard"]

_SCOPE_USER, _SHARE_SHARED = 0, 2
T0, T1 = 1, 2
"""SCARD_PROTOCOL_T0 and SCARD_PROTOCOL_T1."""
_RESET, _UNPOWER, _EJECT = 1, 2, 3
_CHARACTERISTICS, _EJECTS = 0x60150, 0x02
"""SCARD_ATTR_CHARACTERISTICS, and its bit for a reader with a motor that puts cards out (PC/SC part 3)."""
_KEEPS_TRANSACTION = sys.platform not in ("win32", "darwin")
"""Whether SCardReconnect does, as in pcsc-lite: a second SCardBeginTransaction would want a second end there."""

_LOCK_TRIES = 3


@dataclass(frozen=True, slots=True)
class _Act:
    """What is being done with a card: what a user is told who waits for it, and the error if it is given up."""

    waiting: str
    error: type[ReaderError]
    given_up: str


_CONNECT = _Act(
    "waiting for {reader}: another program holds it, or its card hangs",
    ReaderBusyError,
    "{reader} could not be had in {seconds:g} s: another program holds it, or its card hangs",
)
_RESETS = _Act("waiting for the card in {reader} to answer to its reset", NoCardError, MUTE)
_COMMAND = _Act(
    "waiting for the card in {reader} to answer",
    OutcomeUnknownError,
    f"the card in {{reader}} has not answered in {{seconds:g}} s, and is given up; {OutcomeUnknownError.recovery}",
)


class HeldCard:
    """The way to one card: a context, a handle and a transaction; used by the thread of its own worker alone."""

    def __init__(self, reader: str) -> None:
        """``reader`` is its full name; nothing is opened yet."""
        self.worker = Worker(f"PC/SC {reader}")
        self.given_up = False
        self._act = _CONNECT
        self.protocol, self.atr, self.left = T1, b"", SUCCESS
        self._reader = reader
        self._context: int | None = None
        self._card: int | None = None
        """The card's handle, once the transaction holds."""

    def take(self) -> None:
        """Connect, keep all others off, then reset the card; raises ReaderError.

        The card is always reset: whether it was powered just now or by a program that left a file selected
        and a PIN verified cannot be told apart.
        """
        code, context = scard_api().SCardEstablishContext(_SCOPE_USER)
        check(code, self._reader)
        self._context = context
        code, card, _ = scard_api().SCardConnect(context, self._reader, _SHARE_SHARED, T0 | T1)
        check(code, self._reader)
        self._lock(card)
        self.reset()

    def _lock(self, card: int) -> None:
        """Begin the transaction; a reset by another program, in between, has to be taken note of first."""
        code = RESET_CARD
        for _ in range(_LOCK_TRIES):
            if self.given_up:
                raise GaveUpError
            code = scard_api().SCardBeginTransaction(card)
            if unsigned(code) != RESET_CARD:
                break
            scard_api().SCardReconnect(card, _SHARE_SHARED, T0 | T1, _RESET)
        check(code, self._reader)
        self._card = card

    def _held(self) -> int:
        if self._card is None or self.given_up:
            raise GaveUpError
        return self._card

    def reset(self) -> None:
        """Reset the card that is held; raises ReaderError."""
        self._act = _RESETS
        code, protocol = scard_api().SCardReconnect(self._held(), _SHARE_SHARED, T0 | T1, _RESET)
        check(code, self._reader)
        if not _KEEPS_TRANSACTION:
            check(scard_api().SCardBeginTransaction(self._held()), self._reader)
        code, _, _, _, atr = scard_api().SCardStatus(self._held())
        self.protocol, self.atr = protocol, bytes(atr) if code == SUCCESS else b""

    def transmit(self, command: bytes) -> bytes:
        """Send a command, see CardConnection."""
        self._act = _COMMAND
        pci = scard_api().SCARD_PCI_T0 if self.protocol == T0 else scard_api().SCARD_PCI_T1
        code, answer = scard_api().SCardTransmit(self._held(), pci, list(self._as_sent(command)))
        if unsigned(code) in NOT_SENT:
            check(code, self._reader)
        if code != SUCCESS or len(answer) < 2:  # vpcd's word for a card pulled out in the middle is no bytes
            raise OutcomeUnknownError(f"{self._why_unknown(code)}; {OutcomeUnknownError.recovery}")
        return bytes(answer)

    def _as_sent(self, command: bytes) -> bytes:
        """At T=0 a command with data goes without its Le (ISO 7816-3 clause 12.2.1, case 4S)."""
        with_data = len(command) > 5 and command[4]
        return command[: 5 + command[4]] if self.protocol == T0 and with_data else command

    def _why_unknown(self, code: int) -> str:
        if unsigned(code) in SERVICE_LOST:
            return restarted(self._reader)
        reason = "the card was taken out in the middle of it"
        if code != SUCCESS:
            reason = in_words(code)
        return f"a command was sent to the card in {self._reader} and no answer came: {reason}"

    def leave(self, eject: bool) -> None:
        """Let the card go, reset and without power; the one place where that is done.

        No checks here: what cannot be given back is gone, with its card, reader or service; ``left`` is the code
        of the last step. A card that was never held is another program's, and nothing was said to it: it is not
        touched.
        """
        if self._card is not None:
            out = _EJECT if eject and self._has_motor(self._card) else _UNPOWER
            scard_api().SCardEndTransaction(self._card, _RESET)
            self.left = scard_api().SCardDisconnect(self._card, out)
        if self._context is not None:
            scard_api().SCardReleaseContext(self._context)

    @staticmethod
    def _has_motor(card: int) -> bool:
        """Where there is none, drivers take SCARD_EJECT_CARD and leave the card powered."""
        code, told = scard_api().SCardGetAttrib(card, _CHARACTERISTICS)
        return code == SUCCESS and bool(int.from_bytes(bytes(told), "little") & _EJECTS)

    def waited_for(self) -> str:
        """What a user is told who waits."""
        return self._with_users(self._act.waiting.format(reader=self._reader))

    def error(self, seconds: float) -> ReaderError:
        """The error when what is being done is given up after that time."""
        return self._act.error(self._with_users(self._act.given_up.format(reader=self._reader, seconds=seconds)))

    def _with_users(self, text: str) -> str:
        """Who has a reader is not known; who may have it is."""
        others = users() if self._act is _CONNECT else ""
        return f"{text} ({others})" if others else text
