"""Three cards, everything that was ever said between them, and a center that is honest.

A command may be lost, or its answer, or the power cut in any of its writes. After each command the ledger
looks at the card that had it, and nothing may have changed in the others.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.errors import CardRemovedError, FormatError, OutcomeUnknownError
from apdu.identity import AID, CardId, LifeCycle, Role
from apdu.layout import Record
from apdu.messages import (
    Certificate,
    Credit,
    Head,
    Outcome,
    Receipt,
    Refusal,
    Resolution,
    Signed,
    TerminateOrder,
    UnlockOrder,
    Value,
)
from apdu.objects import Kind, Request, UnsettledEntry
from apdu.payload import Tag, unpack
from apdu.response import ResponseApdu
from apdu.signature import point_of, private_key
from apdu.status import StatusWord
from applet_model.memory import Cut
from host.exchange import exchange
from tests.applet_model.ledger import Account, Ledger, Transfer
from tests.applet_model.purses import ISSUER, Purse, command, personalized
from tests.issuer import CERTIFICATION, FAR, NOW, ORDERS, transfer

__all__ = ["ARRIVES", "Fate", "ThreeCards"]

FLOAT_MAX, BALANCE_MAX, TRANSFER_MAX, PIN_ABOVE = 6_000, 2_000, 2_000, 1_000
_FORGER = private_key(bytes(range(1, 41)))
_SIGNED: dict[Tag, type[Record]] = {Tag.VALUE: Value, Tag.RECEIPT: Receipt, Tag.REFUSAL: Refusal}
_NEVER = 1 << 60
"""A write that does not come: no cut is waiting any more."""
_SELECT = CommandApdu(0x00, Ins.SELECT, 0x04, 0x0C, AID)


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a command: it or its answer is lost; a write of it is cut, and one of the recovery."""

    sent: bool = True
    answered: bool = True
    cut: tuple[int, Cut] | None = None
    recovery: tuple[int, Cut] | None = None


ARRIVES = Fate()


def _small(serial: int, role: Role, initial: int, balance_max: int) -> Purse:
    """A purse that is soon full in every respect."""
    image = personalized(
        serial, role, initial, history=8, unsettled=2, allowed=(12, 12_000), balance_max=balance_max,
        transfer_max=TRANSFER_MAX, pin_above=PIN_ABOVE,
    )  # fmt: skip
    return Purse(image)


@lru_cache
def _at_the_start(roles: tuple[Role, Role]) -> list[bytes]:
    """A float that has given each of two purses some money."""
    purses = [_small(1, Role.FLOAT, FLOAT_MAX, FLOAT_MAX)]
    for serial, role in enumerate(roles, 2):
        purses.append(_small(serial, role, 0, BALANCE_MAX))
        transfer(purses[0].slot, purses[-1].slot, PIN_ABOVE)
    return [purse.image for purse in purses]


class ThreeCards:
    """A float with money, and two purses; all so small that every limit is reached."""

    def __init__(self, roles: tuple[Role, Role]) -> None:
        self.purses = [Purse(image, Random(i).randbytes) for i, image in enumerate(_at_the_start(roles))]
        most = (FLOAT_MAX, BALANCE_MAX, BALANCE_MAX)
        self.accounts = [Account(p.id, p.image, m) for p, m in zip(self.purses, most, strict=True)]
        self.ledger = Ledger(self.accounts)
        self.sent: list[CommandApdu] = []
        self.edition = 0
        self.pool: dict[Tag, list[bytes]] = {tag: [] for tag in Tag}
        self.serials = [1, 1, 1]
        self.opened_by: dict[bytes, CardId] = {}
        self.certificates = [purse.session().get_certificate() for purse in self.purses]
        for certificate in self.certificates:
            self.learn(Tag.CERTIFICATE, certificate.raw)

    # --- what everybody knows --------------------------------------------------------------------

    def learn(self, tag: Tag, raw: bytes) -> None:
        """Remember a message as the newest; each once, so that an age finds different ones."""
        known = self.pool[tag]
        if raw in known:
            known.remove(raw)
        known.append(raw)

    def pick(self, tag: Tag, age: int) -> bytes:
        """An earlier message; age 0 is the newest. Nothing at all when there is none yet."""
        known = self.pool[tag]
        return known[-1 - age % len(known)] if known else b""

    def anything(self, age: int) -> bytes:
        """Some message of any kind."""
        known = [raw for tag in Tag for raw in self.pool[tag]]
        return known[-1 - age % len(known)]

    def certificate_of(self, card: bytes) -> bytes:
        """The certificate of one of the three, or the newest that is known."""
        own = [certificate.raw for certificate in self.certificates if certificate.body.subject == card]
        return own[0] if own else self.pick(Tag.CERTIFICATE, 0)

    def place_of(self, card: bytes) -> int:
        """Which of the three has this ID; some card when none has."""
        return next((i for i, account in enumerate(self.accounts) if account.card == card), 0)

    # --- sending ---------------------------------------------------------------------------------

    def send(self, i: int, wanted: CommandApdu, fate: Fate = ARRIVES) -> ResponseApdu | None:
        """Send a command to card ``i``; its answer, if there was one and it came through."""
        self.sent.append(wanted)
        if not fate.sent:
            return None
        others = [purse.image for purse in self.purses if purse is not self.purses[i]]
        answer = self._transmit(self.purses[i], wanted, fate)
        assert others == [purse.image for purse in self.purses if purse is not self.purses[i]]
        self.accounts[i].observe(self.purses[i].image, self._authority(wanted))
        if answer is None or not fate.answered:
            return None
        if answer.sw == StatusWord.OK:
            self._overhear(i, wanted, answer)
        return answer

    def _transmit(self, purse: Purse, wanted: CommandApdu, fate: Fate) -> ResponseApdu | None:
        try:
            if not purse.card.powered:
                exchange(purse.slot.connect(), _SELECT)
            if fate.cut:
                purse.card.tear(*fate.cut)
            return exchange(purse.slot, wanted)
        except (OutcomeUnknownError, CardRemovedError):
            if fate.recovery:
                self._cut_recovery(purse, *fate.recovery)
            return None

    @staticmethod
    def _cut_recovery(purse: Purse, write: int, cut: Cut) -> None:
        """The power comes back, and goes again while the card mends its memory."""
        purse.card.tear(write, cut)
        with suppress(CardRemovedError):
            purse.slot.connect()
        purse.card.power_off()

    def objects(self, i: int, ins: Ins, objects: dict[Tag, bytes], fate: Fate = ARRIVES) -> bool:
        """Send objects; whether success was heard."""
        answer = self.send(i, command(ins, objects), fate)
        return answer is not None and answer.sw == StatusWord.OK

    @staticmethod
    def _authority(wanted: CommandApdu) -> set[Transfer]:
        """The one transfer that a command may end: the one that its signed answer names."""
        if wanted.ins != Ins.SETTLE:
            return set()
        try:
            objects = unpack(wanted.data, (), (Tag.RECEIPT, Tag.REFUSAL, Tag.RESOLUTION))
        except FormatError:
            return set()
        names = [raw[2:12] if tag is Tag.RESOLUTION else raw[1:11] for tag, raw in objects.items()]
        return {(CardId(name[:6]), int.from_bytes(name[6:])) for name in names if len(name) == 10}

    def _overhear(self, i: int, wanted: CommandApdu, answer: ResponseApdu) -> None:
        """Add what a card said to what everybody knows, and to what the ledger judges."""
        own = self.accounts[i].card
        if wanted.ins not in (Ins.REQUEST, Ins.PAY, Ins.GIVE_AGAIN, Ins.RECEIVE):
            return
        tags = (Tag.CERTIFICATE, Tag.REQUEST, Tag.VALUE, Tag.RECEIPT, Tag.REFUSAL)
        for tag, raw in unpack(answer.data, (), tags).items():
            self.learn(tag, raw)
            if tag is Tag.REQUEST:
                self.ledger.requests[own].append(Request.decode(raw))
                self.opened_by[raw] = own
            elif tag in _SIGNED:
                body = Signed.decode(_SIGNED[tag], raw).verify(self.certificates[i].body.point)
                self.ledger.said.add(body)

    # --- the center ------------------------------------------------------------------------------

    def credit(self, i: int, seen: int, **terms: int) -> None:
        """Sign new credit information, for a history that was uploaded up to record ``seen``."""
        self.serials[i] += 1
        serial = self.accounts[i].card.serial
        self.learn(Tag.CREDIT, ISSUER.credit(serial, self.serials[i], seen=seen, **terms).raw)

    def publish(self, listed: set[int], time: int) -> None:
        """Publish the next edition, with the proof for each listed card."""
        self.edition += 1
        edition = ISSUER.edition(self.edition, *(self.accounts[i].card.serial for i in listed), time=time)
        self.learn(Tag.HEAD, edition.head.raw)
        for i in listed:
            self.learn(Tag.PROOF, edition.tree.prove(self.accounts[i].card.serial).encode())

    def order_unlock(self, i: int, beyond: int) -> None:
        """Sign an unlock order, that many editions above the one that the card has seen."""
        account = self.accounts[i]
        order = UnlockOrder(ORDERS, account.card, account.seen.edition + beyond)
        self.edition = max(self.edition, order.edition)
        self.learn(Tag.ORDER, Signed.make(order, ISSUER.orders).raw)

    def order_end(self, i: int) -> None:
        """Sign the end of a card."""
        order = TerminateOrder(ORDERS, self.accounts[i].card, FAR)
        self.learn(Tag.ORDER, Signed.make(order, ISSUER.orders).raw)

    def resolve(self, i: int, entry: UnsettledEntry) -> bool:
        """Sign how a transfer ended, if payee's history and attested request tell that it has ended."""
        payer, payee = self.accounts[i], self.ledger.accounts[entry.payee]
        counters = payee.seen.counters
        paid = payer.transfers(Kind.PAID)[payer.card, entry.counter]
        received = (payer.card, entry.counter) in payee.transfers(Kind.RECEIVED)
        dead = payee.seen.state is LifeCycle.TERMINATED
        if not received and not dead and (counters.open, counters.requests) == (1, paid.request):
            return False
        outcome = Outcome.RECEIVED if received else Outcome.NEVER_RECEIVED
        resolution = Resolution(ORDERS, payer.card, entry.counter, outcome)
        self.learn(Tag.RESOLUTION, Signed.make(resolution, ISSUER.orders).raw)
        return True

    # --- the forger ------------------------------------------------------------------------------

    def forge(self, i: int, other: int) -> None:
        """Sign, with a key that the center never certified, all that would make money for card ``i``."""
        own, theirs = self.accounts[i], self.accounts[other]
        named = Certificate(CERTIFICATION, theirs.card, Role.FLOAT, FAR, point_of(_FORGER))
        asked = [*self.ledger.requests[own.card], Request(1, bytes(8), 1, 0)][0]
        counter = theirs.seen.counters.payments + 1
        value = Value(theirs.card, counter, own.card, asked.number, asked.nonce, asked.amount, asked.currency)
        forged = [(Tag.CERTIFICATE, named), (Tag.VALUE, value)]
        for entry in own.seen.unsettled:
            forged += [
                (Tag.REFUSAL, Refusal(own.card, entry.counter, entry.payee)),
                (Tag.RESOLUTION, Resolution(ORDERS, own.card, entry.counter, Outcome.NEVER_RECEIVED)),
            ]
        forged.append((Tag.CREDIT, Credit(ORDERS, own.card, 0xFFFFFFFF, NOW, FAR, 1000, 100_000, 0)))
        forged.append((Tag.HEAD, Head(ORDERS, 1, 0xFFFFFFFF, FAR, FAR, 0, bytes(24))))
        forged.append((Tag.ORDER, UnlockOrder(ORDERS, own.card, 0xFFFFFFFF)))
        for tag, body in forged:
            self.learn(tag, Signed.make(body, _FORGER).raw)

    # --- the end of a run ------------------------------------------------------------------------

    def finish(self) -> None:
        """Unlock what is locked, and bring every transfer to its end: by the payee, else by the center."""
        for i, account in enumerate(self.accounts):
            self.purses[i].card.power_off()
            self.purses[i].card.tear(_NEVER, Cut.BEFORE)
            if account.seen.state is LifeCycle.LOCKED_OUT:
                self.order_unlock(i, 1)
                assert self.objects(i, Ins.UNLOCK, {Tag.ORDER: self.pick(Tag.ORDER, 0)})
        for i, account in enumerate(self.accounts):
            if account.seen.state is LifeCycle.ACTIVE:
                for entry in account.seen.unsettled:
                    self._end(i, entry)

    def _end(self, i: int, entry: UnsettledEntry) -> None:
        """Give the value again and settle with the answer; where the payee cannot know, the center does."""
        assert self.objects(i, Ins.GIVE_AGAIN, {Tag.COUNTER: entry.counter.to_bytes(4)})
        answer = self._ask_payee(i, entry)
        if answer is None:
            assert self.resolve(i, entry)
            answer = {Tag.RESOLUTION: self.pick(Tag.RESOLUTION, 0)}
        assert self.objects(i, Ins.SETTLE, answer)

    def _ask_payee(self, i: int, entry: UnsettledEntry) -> dict[Tag, bytes] | None:
        payee = next(j for j, account in enumerate(self.accounts) if account.card == entry.payee)
        given = self.send(i, command(Ins.GIVE_AGAIN, {Tag.COUNTER: entry.counter.to_bytes(4)}))
        assert given is not None
        objects = unpack(given.data, (Tag.CERTIFICATE, Tag.VALUE))
        answer = self.send(payee, command(Ins.RECEIVE, objects))
        assert answer is not None
        if answer.sw == StatusWord.OK:
            return unpack(answer.data, (), (Tag.RECEIPT, Tag.REFUSAL))
        dead = self.accounts[payee].seen.state is LifeCycle.TERMINATED
        assert answer.sw == (StatusWord.CONDITIONS_OF_USE if dead else StatusWord.BEYOND_HISTORY)
        return None
