"""Where a case finds its things: the card under test, cards of the model to do business with, and the issuer."""

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Self

from apdu.commands import DATA_OBJECTS, PIN_REFERENCE, Ins
from apdu.errors import RefusedError
from apdu.identity import CardId, LifeCycle, Role
from apdu.messages import (
    BodyT,
    Certificate,
    Credit,
    Outcome,
    Receipt,
    Refusal,
    Resolution,
    Signed,
    TerminateOrder,
    UnlockOrder,
    Value,
)
from apdu.objects import NO_PIN_SUM, Parameters, Request
from apdu.payload import Tag, unpack
from broadcast.edition import Edition
from host.issuer_session import IssuerData, IssuerSession
from host.model import ModelSlot
from host.session import Answer, Paid, PurseSession, Requested
from saifu.conformance.issuer import FAR, NOW, ORDERS, PIN, PUK
from saifu.conformance.partner import Partner
from saifu.conformance.subject import SERIAL, Subject

__all__ = ["SERIAL", "Objects", "Stand", "with_changes"]

Objects = Mapping[Tag, bytes | None]
"""Payload objects of a command; None stands for one that is left out."""

_MONEY = 0x7FFF_FFFF
_STEP = 50_000
"""The most that one transfer moves."""
_OTHERS = range(0x1000_0000, 0xF000_0000)
"""Serials of the cards of the model: new ones in each run, because the card under test remembers the old."""


class Stand:
    """One card under test, and everything around it."""

    def __init__(self, subject: Subject, spare: Callable[[], Subject | None] = lambda: None) -> None:
        """``spare`` makes another blank card, where that can be done."""
        self.card, self.issuer = subject, subject.issuer
        self._spare = spare
        self._others: dict[Role, ModelSlot] = {}
        self._sizes: dict[tuple[Ins, int, int], int] = {}

    @property
    def id(self) -> CardId:
        """The ID of the card under test."""
        return self.issuer.id(SERIAL)

    @property
    def now(self) -> int:
        """A date that is not before the card's own."""
        return max(NOW, self.card.twin.cells.date.number())

    @property
    def parameters(self) -> Parameters:
        """What the card under test was personalized with."""
        return Parameters.decode(self.card.twin.cells.parameters.get())

    @property
    def certificate(self) -> bytes:
        """The certificate of the card under test."""
        return self.card.twin.cells.certificate.get()

    @property
    def credit(self) -> Credit:
        """The credit information that the card has."""
        return Credit.decode(self.card.twin.cells.credit.get()[: Credit.SIZE])

    @property
    def unseen(self) -> int:
        """Records that the center has not seen."""
        return self.card.twin.cells.record.number() - self.credit.seen

    @property
    def without_pin(self) -> int:
        """What was paid without the PIN since the last payment with it."""
        return self.card.twin.cells.without_pin.number()

    @property
    def waiting(self) -> bool:
        """Whether a transfer is unsettled, as the twin has it."""
        return any(used.number() for used in self.card.twin.cells.unsettled_used)

    # --- other cards -------------------------------------------------------------------------------------

    def other(self, role: Role = Role.FLOAT) -> PurseSession:
        """A card of the model, reset and selected: the float has money without end, a person's none at first."""
        if role not in self._others:
            serial = _serial()
            money = _MONEY if role is Role.FLOAT else 0
            self._others[role] = self.issuer.purse(
                serial, role, money, history=1024, unsettled=8, pin_above=_MONEY, pin_sum=NO_PIN_SUM
            )
        session = PurseSession(self._others[role].connect())
        self._renew(session)
        return session

    def another(self, initial: int = 0) -> PurseSession:
        """A new card of the model, with money if ``initial`` says so."""
        return PurseSession(self.issuer.purse(_serial(), Role.PERSON, initial))

    def partner(self, role: Role = Role.PERSON, expiry: int = FAR) -> Partner:
        """A new card of which the key is known, for what no card of the model says."""
        return Partner(self.issuer, _serial(), role, expiry)

    def _renew(self, session: PurseSession) -> None:
        """Give a card credit, and room in its history."""
        serial = session.get_credit()[0].body.serial + 1
        seen = session.get_counters().record
        session.put_credit(self.issuer.credit(session.card.serial, serial, seen=seen, amount=_MONEY))

    def spare(self) -> "Stand | None":
        """A stand with another blank card, where one can be made; raises RefusedError where it is not blank."""
        subject = self._spare()
        if subject is None:
            return None
        if subject.state not in (LifeCycle.BLANK, LifeCycle.PERSONALIZATION):
            raise RefusedError(
                f"the other card is {subject.state.text}, not blank: what makes cards for this run has not made one"
            )
        return Stand(subject, self._spare).beside(self)

    def beside(self, other: "Stand") -> Self:
        """In one run with another card: what the two draw at random is compared."""
        self.card.oracle.drawn = other.card.oracle.drawn
        return self

    # --- into a state ------------------------------------------------------------------------------------

    def secure(self) -> IssuerSession:
        """Reset, select, and open a secure channel at level 33."""
        self.card.reset()
        return IssuerSession(self.card, lambda _: self.card.keys)

    def certify(self, point: bytes) -> tuple[Signed[Certificate], Signed[Credit]]:
        """What the issuer gives for a public key."""
        return self.issuer.certificate(SERIAL, point), self.issuer.credit(SERIAL, 1)

    def issuer_data(self) -> IssuerData:
        """What the card under test is personalized with."""
        return IssuerData(self.issuer.parameters(SERIAL), self.issuer.keys, PIN, PUK)

    def personalize(self) -> None:
        """Make the blank card a purse of serial 2."""
        self.secure().personalize(self.issuer_data(), self.certify)

    def begun(self) -> IssuerSession:
        """Reset, a secure channel at level 33, and a new key pair: nothing that was stored before counts."""
        session = self.secure()
        session.generate_key_pair()
        return session

    def locked(self) -> None:
        """A locked-out card, reset and selected."""
        if self.card.state is not LifeCycle.LOCKED_OUT:
            self.lock_out()
        self.card.fresh()

    def terminate(self) -> None:
        """End the card's life; reset and selected before."""
        self.card.session().terminate(self.terminate_order(), self.now)

    def terminate_order(self, card: CardId | None = None, expiry: int = 0xFFFF_FFFF) -> Signed[TerminateOrder]:
        """The issuer's order that ends the life of the card under test, or of another."""
        return Signed.make(TerminateOrder(ORDERS, card or self.id, expiry), self.issuer.orders)

    def audit(self) -> None:
        """Everything that anybody can read, in lock-step: so a change that no answer showed is seen."""
        self.card.fresh()
        for row in DATA_OBJECTS:
            self._read(Ins.GET_DATA, row.number >> 8, row.number & 0xFF)
        self._read(Ins.READ_RECORD, 1, 0x0C)

    def _read(self, ins: Ins, p1: int, p2: int) -> None:
        """Ask for as many bytes as there were the last time: at T=0 another Le costs an exchange."""
        before = self._sizes.get((ins, p1, p2)) or 256
        self._sizes[ins, p1, p2] = len(self.card.send(ins, sw=None, p1=p1, p2=p2, ne=before))

    def edition(self, *serials: int, ahead: int = 1) -> Edition:
        """An edition of the blacklist, ``ahead`` of the newest that the card has seen."""
        return self.issuer.edition(self.card.twin.cells.edition.number() + ahead, *serials, time=self.now)

    def lock_out(self) -> Edition:
        """List the card, and lock it out; reset and selected before."""
        edition = self.edition(SERIAL)
        self.card.session().lock_out(edition.head, edition.tree.prove(SERIAL))
        return edition

    def unlock(self) -> None:
        """Unlock the card; reset and selected before."""
        self.card.session().unlock(self._order(self.card.twin.cells.edition.number() + 1))

    def _order(self, lowest: int) -> Signed[UnlockOrder]:
        return Signed.make(UnlockOrder(ORDERS, self.id, lowest), self.issuer.orders)

    def restore(self, state: LifeCycle) -> None:
        """Make the card active or locked out, outside of lock-step: whatever it has become, if there is a way back.

        A card that is not personalized gets its own keys back.

        The twin does not follow. Raises what the slot and the session raise.
        """
        session = PurseSession(self.card.slot.connect())
        if session.selected.status.state in (LifeCycle.BLANK, LifeCycle.PERSONALIZATION):
            self.card.meet()
            return
        now, edition = session.selected.status.state, session.selected.status.edition + 1
        if (now, state) == (LifeCycle.LOCKED_OUT, LifeCycle.ACTIVE):
            session.unlock(self._order(edition))
        elif (now, state) == (LifeCycle.ACTIVE, LifeCycle.LOCKED_OUT):
            listed = self.issuer.edition(edition, SERIAL, time=self.now)
            session.lock_out(listed.head, listed.tree.prove(SERIAL))

    def ready(self, balance: int = 10_000, **credit: int) -> None:
        """An active card with so much on it, nothing unsettled, credit, and room in its history.

        Half of the PIN sum at least is left. Reset and selected, PIN not verified. ``credit`` changes fields of the
        credit information that it has then.
        """
        if self.card.state is LifeCycle.LOCKED_OUT:
            self.unlock()
        waiting = self._waiting()
        self.renew()  # first: a wrong card without room in its history may decline a refund, and then each case fails
        if waiting:
            self._refund(waiting)
            self.renew()
        if self.without_pin > self.parameters.pin_sum // 2:
            self.begin_sum()
            self.renew()
        self._move(balance)
        if credit:
            self.renew(**credit)
        self.card.fresh()

    def begin_sum(self) -> None:
        """Pay with the PIN: so the sum of what is paid without it begins anew."""
        if not self.balance:
            self.give(1)
        self.verify()
        self.take(1)

    def refund(self, beyond: int = 0) -> None:
        """Settle each unsettled transfer with a higher counter: its money is back. Reset and selected before."""
        self._refund(counter for counter in self._waiting() if counter > beyond)

    def _waiting(self) -> list[int]:
        return [entry.counter for entry in self.card.session().get_unsettled()]

    def _refund(self, counters: Iterable[int]) -> None:
        for counter in counters:
            self.settle(self.resolution(counter))

    def renew(self, **changed: int) -> Signed[Credit]:
        """PUT CREDIT with the next serial; everything that is in the history counts as seen."""
        fields = {"seen": self.card.twin.cells.record.number()} | changed
        given = self.issuer.credit(SERIAL, self.credit.serial + 1, **fields)
        self.card.send(Ins.PUT_CREDIT, {Tag.CREDIT: given.raw}, ne=None)
        return given

    def _move(self, balance: int) -> None:
        """Bring the balance to what is wanted, in transfers of at most 500.00."""
        while missing := balance - self.balance:
            amount = min(abs(missing), _STEP)
            if missing > 0:
                self.give(amount)
            else:
                self.verify()
                self.take(amount)

    @property
    def balance(self) -> int:
        """The balance, as the twin has it."""
        return self.card.twin.cells.balance.number()

    # --- money: one command each to the card under test, which stays selected ------------------------------

    def date(self) -> bytes:
        """The terminal's date, as commands carry it."""
        return self.now.to_bytes(4)

    def request(self, amount: int, payer: CardId, sw: int = 0x9000, changed: Objects | None = None) -> bytes:
        """REQUEST; returns the answer's data. ``changed`` puts objects in another's place, None leaves them out."""
        objects = {Tag.AMOUNT: amount.to_bytes(4), Tag.CARD_ID: payer, Tag.DATE: self.date()}
        return self.card.send(Ins.REQUEST, with_changes(objects, changed), sw)

    def requested(self, amount: int, payer: PurseSession | Partner, changed: Objects | None = None) -> Requested:
        """REQUEST, and what the payer needs of the answer."""
        objects = unpack(self.request(amount, payer.card, changed=changed), (Tag.CERTIFICATE, Tag.REQUEST))
        return Requested(_signed(Certificate, objects[Tag.CERTIFICATE]), Request.decode(objects[Tag.REQUEST]))

    def asked_by(self, payee: PurseSession, amount: int) -> Requested:
        """A request of another card to the card under test."""
        return payee.request(amount, self.id, self.now)

    def pay(self, requested: Requested, sw: int = 0x9000, changed: Objects | None = None) -> bytes:
        """PAY; returns the answer's data."""
        objects = {Tag.CERTIFICATE: requested.certificate.raw, Tag.REQUEST: requested.request.encode()}
        return self.card.send(Ins.PAY, with_changes(objects | {Tag.DATE: self.date()}, changed), sw)

    def paid(self, requested: Requested, changed: Objects | None = None) -> Paid:
        """PAY, and what the payee needs of the answer; the transfer is unsettled then."""
        return _paid(self.pay(requested, changed=changed))

    def give_again(self, counter: int, sw: int = 0x9000) -> bytes:
        """GIVE AGAIN; returns the answer's data."""
        return self.card.send(Ins.GIVE_AGAIN, {Tag.COUNTER: counter.to_bytes(4)}, sw)

    def given_again(self, counter: int) -> Paid:
        """GIVE AGAIN, and what the payee needs of the answer."""
        return _paid(self.give_again(counter))

    def receive(self, paid: Paid, sw: int = 0x9000, changed: Objects | None = None) -> bytes:
        """RECEIVE; returns the answer's data."""
        objects = {Tag.CERTIFICATE: paid.certificate.raw, Tag.VALUE: paid.value.raw, Tag.DATE: self.date()}
        return self.card.send(Ins.RECEIVE, with_changes(objects, changed), sw)

    def answered(self, paid: Paid, changed: Objects | None = None) -> Answer:
        """RECEIVE, and its receipt or refusal."""
        objects = unpack(self.receive(paid, changed=changed), (), (Tag.RECEIPT, Tag.REFUSAL))
        if Tag.RECEIPT in objects:
            return _signed(Receipt, objects[Tag.RECEIPT])
        return _signed(Refusal, objects[Tag.REFUSAL])

    def settle(self, answer: Answer | Signed[Resolution], sw: int = 0x9000, changed: Objects | None = None) -> None:
        """SETTLE, without a date unless ``changed`` says one."""
        objects = {Tag[type(answer.body).__name__.upper()]: answer.raw}
        self.card.send(Ins.SETTLE, with_changes(objects, changed), sw, ne=None)

    def resolution(self, counter: int, outcome: Outcome = Outcome.NEVER_RECEIVED) -> Signed[Resolution]:
        """The issuer's resolution of a transfer of the card under test."""
        return Signed.make(Resolution(ORDERS, self.id, counter, outcome), self.issuer.orders)

    def verify(self, pin: bytes = PIN, sw: int = 0x9000) -> None:
        """VERIFY."""
        self.card.send(Ins.VERIFY, pin, sw, p2=PIN_REFERENCE, ne=None)

    def give(self, amount: int) -> Answer:
        """The float pays the card under test; the whole transfer."""
        payer = self.other()
        paid = payer.pay(self.requested(amount, payer), self.now)
        answer = self.answered(paid)
        payer.settle(answer)
        return answer

    def take(self, amount: int) -> Paid:
        """The card under test pays the float; the whole transfer."""
        payee = self.other()
        paid = self.paid(self.asked_by(payee, amount))
        self.settle(payee.receive(paid, self.now))
        return paid


def _serial() -> int:
    """That of a new card of the model."""
    return _OTHERS[secrets.randbelow(len(_OTHERS))]


def with_changes(objects: dict[Tag, bytes], changed: Objects | None) -> dict[Tag, bytes]:
    """Objects, with others in their place or without them, as ``changed`` says."""
    merged: dict[Tag, bytes | None] = {**objects, **(changed or {})}
    return {tag: raw for tag, raw in merged.items() if raw is not None}


def _paid(answer: bytes) -> Paid:
    objects = unpack(answer, (Tag.CERTIFICATE, Tag.VALUE))
    return Paid(_signed(Certificate, objects[Tag.CERTIFICATE]), _signed(Value, objects[Tag.VALUE]))


def _signed(kind: type[BodyT], raw: bytes) -> Signed[BodyT]:
    return Signed.decode(kind, raw)
