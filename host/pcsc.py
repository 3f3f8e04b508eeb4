"""Cards in PC/SC readers, on Linux, macOS and Windows."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from apdu.errors import CardRemovedError, NoReaderError, ReaderBusyError, ReaderError
from apdu.protocol import Protocol as TransmissionProtocol
from host.connection import CardConnection, Ejection
from host.held_card import T0, HeldCard
from host.patience import PATIENCE, GaveUpError, Patience, Worker
from host.scard import NO_READERS, TIMEOUT, check, check_in_use, scard_api, unsigned

__all__ = ["PcscSlot", "Reader", "find_reader", "list_readers"]

ResultT = TypeVar("ResultT")

_SCOPE_USER = 0
_STATE_UNAWARE, _STATE_CHANGED, _STATE_PRESENT = 0, 2, 0x20
_LETTING_GO_SECONDS = 5.0
"""A reset and the power off take less; more would be another program that has the card by then, or a mute one."""
_NOT_OFF = "the card in {reader} could not be powered off: pull it out"
_HANGS = "a command to the card in {reader} that was given up has not ended yet: pull the card out"
_ENDING_SECONDS = 0.5
"""Until a command has ended whose card was pulled out."""


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
    code, context = scard_api().SCardEstablishContext(_SCOPE_USER)
    check(code, "PC/SC")
    try:
        yield context
    finally:
        scard_api().SCardReleaseContext(context)


def list_readers() -> list[Reader]:
    """Return the readers that there are, in PC/SC's order; raises PcscUnavailableError."""
    with _context() as context:
        code, names = scard_api().SCardListReaders(context, [])
        if unsigned(code) == NO_READERS or not names:
            return []
        check(code, "PC/SC")
        code, states = scard_api().SCardGetStatusChange(context, 0, [(name, _STATE_UNAWARE) for name in names])
        check(code, "PC/SC")
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

    After any error the slot can be used again: ``connect`` makes anew what was lost.
    """

    def __init__(self, name: str, patience: Patience | None = None) -> None:
        """``name`` is the reader's full name, see ``find_reader``; nothing is opened yet.

        Without a ``patience`` it is that of the run.
        """
        self._name = name
        self._patience = patience or PATIENCE.get()
        self._card: HeldCard | None = None
        self._hung: Worker | None = None

    @property
    def name(self) -> str:
        """The reader's name."""
        return self._name

    @property
    def protocol(self) -> TransmissionProtocol:
        """The transmission protocol that reader and card have agreed on; T=1 before ``connect``."""
        is_t0 = self._card is not None and self._card.protocol == T0
        return TransmissionProtocol.T0 if is_t0 else TransmissionProtocol.T1

    def connect(self) -> CardConnection:
        """Take the card, reset, and return the way to it; a card that is held already is reset.

        Waits for other programs to let it go. Raises ReaderBusyError when that takes longer than the patience, or
        while a command that was given up has not ended; NoCardError, NoReaderError or PcscUnavailableError.
        """
        if self._hung is not None and self._hung.hangs_after(_ENDING_SECONDS):
            raise ReaderBusyError(_HANGS.format(reader=self._name))
        if self._card is not None:
            try:
                self._do(self._card.reset)
            except ReaderError:
                if self._card is None:  # given up
                    raise
                self._let_go()  # the card that was held is gone: there may be another
            else:
                return _PcscConnection(self, self._card)
        return _PcscConnection(self, self._take(self._patience))

    def _take(self, patience: Patience) -> HeldCard:
        self._card = card = HeldCard(self._name)
        try:
            self._do(card.take, patience)
        except BaseException:
            self._let_go()
            raise
        return card

    def _do(self, act: Callable[[], ResultT], patience: Patience | None = None) -> ResultT:
        """Do something with the card that is held; what is given up, or left by Ctrl-C, is given up for good."""
        card, patience = self._held(), patience or self._patience
        try:
            return card.worker.call(act, patience, card.waited_for)
        except GaveUpError:
            raise card.error(patience.seconds) from None
        finally:
            if card.worker.hangs:
                self._let_go()

    def _held(self) -> HeldCard:
        if self._card is None:
            raise CardRemovedError(f"the card in {self._name} was let go: connect to it again")
        return self._card

    def transmit(self, command: bytes, card: HeldCard) -> bytes:
        """Send a command to ``card``, if it is held still; see CardConnection."""
        if self._held() is not card:
            raise CardRemovedError(f"the card in {self._name} was let go: connect to it again")
        return self._do(lambda: card.transmit(command))

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
        code, states = scard_api().SCardGetStatusChange(context, int(seconds * 1000), [(self._name, known)])
        if unsigned(code) == TIMEOUT:
            return known
        check(code, self._name)
        return states[0][1]

    def eject(self) -> Ejection:
        """Put the card out (S110, S313); on a reader that cannot, it is reset and powered off.

        Raises ReaderError when neither can be done: the card hangs, or another program has it.
        """
        if self._hung is not None and self._hung.hangs_after(0):
            raise ReaderError(_NOT_OFF.format(reader=self._name))
        if self._card is None:
            if not self.card_present():
                return Ejection.EJECTED
            self._take(Patience(_LETTING_GO_SECONDS))
        card = self._held()
        if not self._let_go(eject=True):
            raise ReaderError(_NOT_OFF.format(reader=self._name))
        if not self.card_present():
            return Ejection.EJECTED
        check_in_use(card.left, self._name)
        return Ejection.REMOVE_BY_HAND

    def close(self) -> None:
        """Let go of the card and leave it in the slot, reset and without power; one that hangs is told."""
        if not self._let_go():
            self._patience.tell(_NOT_OFF.format(reader=self._name))

    def _let_go(self, *, eject: bool = False) -> bool:
        """Let go of what is held, if anything; False if it hangs, and is let go when it ends, or the process does."""
        card, self._card = self._card, None
        if card is None:
            return True
        card.given_up = True
        if card.worker.leave(lambda: card.leave(eject), _LETTING_GO_SECONDS):
            return True
        self._hung = card.worker
        return False


class _PcscConnection:
    """The card that a slot holds."""

    def __init__(self, slot: PcscSlot, card: HeldCard) -> None:
        self._slot, self._card = slot, card

    @property
    def atr(self) -> bytes:
        """The card's answer to its reset; empty if it was gone by then."""
        return self._card.atr

    def transmit(self, command: bytes) -> bytes:
        """Send a command, see CardConnection."""
        return self._slot.transmit(command, self._card)
