"""What all terminals do: take cards in, check them against the blacklist, lock listed ones out, eject."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from apdu.counting import counted
from apdu.errors import AuthenticityError, CardError, ReaderError, RefusedError, StoreError
from apdu.identity import LifeCycle
from apdu.money import Money
from apdu.status import StatusError
from host.connection import CardSlot, Ejection
from host.session import PurseSession
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.credit_check import CreditCheckUnit
from host.terminal.panel import Display, Input
from host.terminal.steps import Step
from host.terminal.transfer import AskPin, Transfer, resume

__all__ = ["FinishedBeforeError", "ListedCardError", "Terminal"]


_DATE_MAX = 0xFFFFFFFF


class ListedCardError(RefusedError):
    """A listed card was met; the text says whether it could be locked out."""


class FinishedBeforeError(RefusedError):
    """The transfer that is wanted was made before and is finished now; nothing more was moved."""


class Terminal:
    """Arithmetic unit (18) and card control (19) of a terminal, with its store, display and input."""

    def __init__(
        self,
        store: BlacklistStore,
        display: Display,
        panel: Input,
        clock: Callable[[], float] = time.time,
        check_unit: CreditCheckUnit | None = None,
    ) -> None:
        """``clock`` tells Unix seconds; ``check_unit`` is the patent's variant [0034]."""
        self.store, self.display, self.panel = store, display, panel
        self._clock = clock
        self._check_unit = check_unit

    @property
    def now(self) -> int:
        """The terminal's date, in Unix seconds; a clock that is out of its mind is held within 4 bytes."""
        return min(max(int(self._clock()), 0), _DATE_MAX)

    def money(self, amount: int) -> Money:
        """An amount in the issuer's currency, for the display."""
        return Money(amount, self.store.trust.unit)

    @contextmanager
    def cards(self, slots: Sequence[CardSlot], out: Step) -> Iterator[list[PurseSession]]:
        """Take the cards of some slots, always in the order of their names; eject them after it, whatever happens."""
        self.store.refresh()
        if len({slot.name for slot in slots}) != len(slots):
            raise RefusedError("one reader is named twice, and two cards are needed, each in a reader of its own")
        with ExitStack() as stack:
            for slot in reversed(slots):
                stack.callback(self._eject, slot, out)
            connections = {slot.name: slot.connect() for slot in sorted(slots, key=lambda slot: slot.name)}
            yield [PurseSession(connections[slot.name]) for slot in slots]

    def _eject(self, slot: CardSlot, out: Step) -> None:
        """Put a card out; a reader that is gone must not hide what went wrong before."""
        try:
            ejection = slot.eject()
        except ReaderError as error:
            self.display.show(f"{slot.name}: {error}")
            return
        self.display.step(out, slot.name)
        if ejection is Ejection.REMOVE_BY_HAND:
            self.display.show(f"{slot.name}: {ejection.value}")

    def check_blacklist(self, sessions: Sequence[PurseSession], lock: Step, amount: int = 0) -> None:
        """Do no business with a listed card: lock each out (S108, S206, S308), raise ListedCardError.

        Also raises RefusedError for a card that is locked out already or not active, and where the policy for
        an old list does not let ``amount`` minor units move.
        """
        for session in sessions:
            self._learn(session)
        if stale := self.store.staleness(self.now):
            self.display.show(f"warning: {stale}")
        if listed := [session for session in sessions if session.card in self.store]:
            raise ListedCardError("; ".join([self._lock_out(session, lock) for session in listed]))
        for session in sessions:
            state = session.selected.status.state
            if state is not LifeCycle.ACTIVE:
                raise RefusedError(f"card {session.card} is {state.text}: no business with it")
        if stale:
            self.store.policy.judge(stale, self.money(amount))

    def _lock_out(self, session: PurseSession, lock: Step) -> str:
        """Lock a listed card out and see that it is so; returns what happened."""
        card = session.card
        self.display.step(lock, card.text)
        try:
            session.lock_out(*self.store.prove(card))
            locked = session.select().status.state is LifeCycle.LOCKED_OUT
        except (CardError, ReaderError) as error:
            return f"card {card} is listed; it could not be locked out ({error}): no business with it"
        if not locked:
            return f"card {card} is listed, and pretends to be locked out: keep it"
        return f"card {card} is listed: it is locked out"

    def _learn(self, session: PurseSession) -> None:
        """A card that has seen a newer edition makes a stale terminal know; a forged head is ignored."""
        if session.selected.status.edition <= self.store.newest_known:
            return
        try:
            head = session.get_head()
            if head is not None:
                self.store.note_head(head)
        except AuthenticityError as error:
            self.display.show(f"card {session.card} carries a forged head: {error}")
        except StoreError as error:
            self.display.show(f"card {session.card} has seen a newer edition, which cannot be noted: {error}")

    def check_credit(self, session: PurseSession) -> None:
        """The variant [0034]: judge the credit in the terminal too, where the center has ordered it."""
        if self._check_unit is not None:
            self._check_unit.check(session, self.now)

    def finish_torn(self, one: PurseSession, other: PurseSession) -> list[Transfer]:
        """End transfers between two cards that were cut, whichever of them pays."""
        ended = resume(one, other, self.now) + resume(other, one, self.now)
        for torn in ended:
            what = "finished" if torn.credited else "refused and paid back"
            self.display.show(f"a transfer of {self.money(torn.amount)} that was cut is {what}")
        if ended:
            self._select_again(one, other)
        return ended

    def _select_again(self, *sessions: PurseSession) -> None:
        """Read the balances anew; what was ended is told even when a card is gone now."""
        for session in sessions:
            try:
                session.select()
            except (StatusError, ReaderError) as error:
                self.display.show(f"card {session.card}: {error}")

    def finish_same(self, payer: PurseSession, payee: PurseSession, amount: int) -> Transfer | None:
        """End what was cut, and return a transfer of this very amount that reaches the payee only now.

        Nobody was told that it was made: it is the one that is wanted again, and is not paid twice. Of one
        that had reached the payee before, the cards cannot say whether anybody was told: FinishedBeforeError
        then leaves it to people whether to pay again.
        """
        ended = self.finish_torn(payer, payee)
        same = [torn for torn in ended if torn.credited and (torn.payer, torn.amount) == (payer.card, amount)]
        arrived = next((torn for torn in same if torn.arrived), None)
        if same and arrived is None:
            raise FinishedBeforeError(self.finished_before(amount))
        return arrived

    def finished_before(self, amount: int) -> str:
        """What a FinishedBeforeError says of a transfer of ``amount`` minor units."""
        cut = f"a transfer of {self.money(amount)} between these cards was cut before and is finished now"
        return f"{cut}; if another one is wanted, begin again"

    def ask_pin(self, payer: PurseSession, amount: int, reason: str) -> AskPin:
        """How a transfer of ``amount`` minor units asks for the PIN of the payer's card at this terminal."""

        def ask(left: int | None) -> bytes:
            """Ask; say why a small amount wants it, and how many tries a wrong PIN has left."""
            if left is None:
                self._explain_pin(payer, amount)
            else:
                self.display.show(f"the PIN is wrong: {counted(left, 'try', 'tries')} left")
            return self.panel.pin(reason)

        return ask

    def _explain_pin(self, payer: PurseSession, amount: int) -> None:
        """Small payments add up. Asked of a card only when it wants the PIN: who needs none loses no time by it."""
        limits = payer.get_parameters()
        if amount <= limits.pin_above:
            paid, most = self.money(payer.get_counters().without_pin), self.money(limits.pin_sum)
            self.display.show(f"the PIN is wanted: {paid} were paid without it, {most} may be in all")

    def carry_head(self, session: PurseSession) -> None:
        """Give a card the newest head, off the critical path; the card's date moves with it.

        The business is done by then: a card that is gone, or does not take it, goes without.
        """
        edition = self.store.edition
        if edition is not None and session.selected.status.edition < edition.head.body.edition:
            try:
                session.put_date(edition.head)
            except (CardError, ReaderError) as error:
                self.display.show(f"card {session.card} takes no head: {error}")
