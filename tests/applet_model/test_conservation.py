"""Money is conserved, whatever is done to three real cards.

A float with money and two purses, small enough that history, unsettled places and limits run full. Between
them: all commands of the table in any order, resets, power cuts at any physical write and of any kind, lost
commands and answers, replays of anything ever sent, made-up and forged messages, and crossed ones.
"""

from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from apdu.command import CommandApdu
from apdu.commands import BY_INS, COMMANDS, PIN_REFERENCE, Ins
from apdu.identity import AID, LifeCycle, Role
from apdu.objects import Request
from apdu.payload import Tag
from applet_model.memory import Cut
from tests.applet_model.three_cards import ARRIVES, Fate, ThreeCards
from tests.issuer import EUR, FAR, NOW, PIN, PUK

pytestmark = pytest.mark.slow
SOON = NOW + 50_000
"""When short credit ends."""
TOO_LATE = (FAR + 1).to_bytes(4)
"""When every certificate seems to have run out."""
cuts = st.tuples(st.integers(0, 9), st.sampled_from(Cut))
"""A physical write (the longest transaction has ten) and what is left of it."""


@st.composite
def any_fate(draw: st.DrawFn) -> Fate:
    """Most commands arrive; a transfer must come far before it is torn."""
    match draw(st.integers(0, 14)):
        case 12:
            return Fate(sent=False)
        case 13:
            return Fate(answered=False)
        case 14:
            return Fate(cut=draw(cuts), recovery=draw(st.none() | cuts))
    return ARRIVES


fates = any_fate()
cards = st.integers(0, 2)
steps = st.integers(1, 2)
"""From one card to another one."""
ages = st.one_of(st.just(0), st.just(0), st.integers(0, 40))
"""Which of the earlier messages: 0 is the newest."""
amounts = st.sampled_from([1, 300, 400, 500, 999, 1_000, 1_500, 2_000, 0, 2_001])
dates = st.sampled_from([0, NOW, NOW, NOW, NOW, SOON, SOON + 1, FAR + 1]).map(lambda date: date.to_bytes(4))
TAKING = [(row.ins, tags) for row in COMMANDS for tags in ([row.takes] if row.takes else [])]
TAKING += [(Ins.SETTLE, (tag,)) for tag in BY_INS[Ins.SETTLE].one_of]
"""Commands that take messages of others, and which kinds."""
carriers = st.sampled_from([row.ins for row in COMMANDS if row.carries])
others = st.sampled_from([row.ins for row in COMMANDS if not row.carries])


class PersonsMachine(RuleBasedStateMachine):
    """A float and two persons."""

    ROLES: ClassVar[tuple[Role, Role]] = (Role.PERSON, Role.PERSON)
    DEADLY: ClassVar[bool] = False

    @initialize()
    def personalize(self) -> None:
        self.three = ThreeCards(self.ROLES)
        self.ledger = self.three.ledger

    # --- a terminal at its work, which comes to its end or not ------------------------------------

    @rule(i=cards, step=steps, amount=amounts, date=dates, fate=fates)
    def request(self, i: int, step: int, amount: int, date: bytes, fate: Fate) -> None:
        payer = self.three.accounts[(i + step) % 3].card
        sent = {Tag.AMOUNT: amount.to_bytes(4), Tag.CARD_ID: payer, Tag.DATE: date}
        self.three.objects(i, Ins.REQUEST, sent, fate)

    @rule(payer=cards, age=ages, date=dates, pin=st.booleans(), fate=fates)
    def pay(self, payer: int, age: int, date: bytes, pin: bool, fate: Fate) -> None:
        if request := self.three.pick(Tag.REQUEST, age):
            if pin:
                self.three.send(payer, CommandApdu(0x00, Ins.VERIFY, 0x00, PIN_REFERENCE, PIN))
            certificate = self.three.certificate_of(self.three.opened_by[request])
            sent = {Tag.CERTIFICATE: certificate, Tag.REQUEST: request, Tag.DATE: date}
            self.three.objects(payer, Ins.PAY, sent, fate)

    @rule(age=ages, dates=st.lists(dates, min_size=1, max_size=3), fate=fates)
    def receive(self, age: int, dates: list[bytes], fate: Fate) -> None:
        """The same value may be shown again, and at any date."""
        if value := self.three.pick(Tag.VALUE, age):
            certificate, payee = self.three.certificate_of(value[1:7]), self.three.place_of(value[11:17])
            for date in dates:
                sent = {Tag.CERTIFICATE: certificate, Tag.VALUE: value, Tag.DATE: date}
                self.three.objects(payee, Ins.RECEIVE, sent, fate)

    @rule(kind=st.sampled_from([Tag.RECEIPT, Tag.REFUSAL]), age=ages, fate=fates)
    def settle(self, kind: Tag, age: int, fate: Fate) -> None:
        if answer := self.three.pick(kind, age):
            self.three.objects(self.three.place_of(answer[1:7]), Ins.SETTLE, {kind: answer}, fate)

    @rule(i=cards, step=steps, amount=amounts, late=st.booleans(), fates=st.lists(fates, min_size=3, max_size=24))
    def transfer(self, i: int, step: int, amount: int, late: bool, fates: list[Fate]) -> None:
        """Transfers of four steps, each with its own fate; the last may stop half-way."""
        now = NOW.to_bytes(4)
        for at, fate in enumerate(fates):
            match at % 4:
                case 0:
                    self.request(i, step, amount, now, fate)
                case 1:
                    self.pay((i + step) % 3, 0, now, True, fate)
                case 2:
                    self.receive(0, [TOO_LATE, now] if late else [now], fate)
                case 3:
                    self.settle(Tag.REFUSAL if late else Tag.RECEIPT, 0, fate)

    @rule(i=cards, which=st.integers(0, 1), kind=st.sampled_from([Tag.RECEIPT, Tag.REFUSAL]), fate=fates)
    def resume(self, i: int, which: int, kind: Tag, fate: Fate) -> None:
        for entry in self.three.accounts[i].seen.unsettled[which : which + 1]:
            self.three.objects(i, Ins.GIVE_AGAIN, {Tag.COUNTER: entry.counter.to_bytes(4)}, fate)
            self.receive(0, [NOW.to_bytes(4)], fate)
            self.settle(kind, 0, fate)

    # --- everybody else --------------------------------------------------------------------------

    @rule(i=cards, number=st.integers(-3, 3), amount=amounts)
    def make_a_request_up(self, i: int, number: int, amount: int) -> None:
        """Nobody opened it, but it looks as if card ``i`` had, or soon would."""
        number = max(0, self.three.accounts[i].seen.counters.requests + number)
        request = Request(number, bytes(8), amount, EUR).encode()
        self.three.opened_by[request] = self.three.accounts[i].card
        self.three.learn(Tag.REQUEST, request)

    @rule(i=cards, step=steps, amount=amounts, fates=st.tuples(fates, fates, fates, fates))
    def anticipate(self, i: int, step: int, amount: int, fates: tuple[Fate, ...]) -> None:
        """A payment for a made-up request is refused; then the payee opens a request of that number."""
        now = NOW.to_bytes(4)
        self.make_a_request_up(i, 1, amount)
        self.pay((i + step) % 3, 0, now, True, fates[0])
        self.receive(0, [now], fates[1])
        self.request(i, step, amount, now, fates[2])
        self.receive(0, [now], fates[3])

    @rule(i=cards, row=st.sampled_from(TAKING), ages=st.tuples(ages, ages), fate=fates)
    def bring(self, i: int, row: tuple[Ins, tuple[Tag, ...]], ages: tuple[int, ...], fate: Fate) -> None:
        """Known messages of the right kinds, to any card."""
        sent = {tag: self.three.pick(tag, age) for tag, age in zip(row[1], ages, strict=False)}
        self.three.objects(i, row[0], sent, fate)

    @rule(i=cards, ins=carriers, ages=st.tuples(ages, ages), fate=fates)
    def cross(self, i: int, ins: Ins, ages: tuple[int, ...], fate: Fate) -> None:
        """Any messages in any command that takes some."""
        tags = BY_INS[ins].takes or BY_INS[ins].one_of[:1]
        sent = {tag: self.three.anything(age) for tag, age in zip(tags, ages, strict=False)}
        self.three.objects(i, ins, sent, fate)

    @rule(i=cards, age=st.integers(0, 60), fate=fates)
    def replay(self, i: int, age: int, fate: Fate) -> None:
        """Any earlier command, to the same card or another."""
        if self.three.sent:
            sent = self.three.sent[-1 - age % len(self.three.sent)]
            self.three.send(i, sent, fate)

    @rule(tag=st.sampled_from(Tag), age=ages, at=st.integers(0, 200), bit=st.integers(0, 7))
    def mutate(self, tag: Tag, age: int, at: int, bit: int) -> None:
        """One bit of a message is changed; other rules pick it up."""
        if tag not in (Tag.REQUEST, Tag.VALUE) and (raw := bytearray(self.three.pick(tag, age))):
            raw[at % len(raw)] ^= 1 << bit
            self.three.learn(tag, bytes(raw))

    # --- the center ------------------------------------------------------------------------------

    @rule(i=cards, uploads=st.booleans(), expiry=st.sampled_from([FAR, SOON, NOW]), few=st.booleans(), fate=fates)
    def renew(self, i: int, uploads: bool, expiry: int, few: bool, fate: Fate) -> None:
        told = self.three.accounts[i].seen.counters
        terms = {"count": 1, "amount": 500} if few else {"count": 20, "amount": 20_000}
        self.three.credit(i, told.record if uploads else told.seen, expiry=expiry, issued=NOW, **terms)
        self.three.objects(i, Ins.PUT_CREDIT, {Tag.CREDIT: self.three.pick(Tag.CREDIT, 0)}, fate)

    @rule(i=cards, listed=st.sets(cards), time=st.integers(NOW - 1_000, SOON + 1_000), fate=fates)
    def publish(self, i: int, listed: set[int], time: int, fate: Fate) -> None:
        self.three.publish(listed, time)
        sent = {Tag.HEAD: self.three.pick(Tag.HEAD, 0)}
        if i in listed:
            proof = self.three.pick(Tag.PROOF, sorted(listed, reverse=True).index(i))
            self.three.objects(i, Ins.LOCK_OUT, sent | {Tag.PROOF: proof}, fate)
        else:
            self.three.objects(i, Ins.PUT_DATE, sent, fate)

    @rule(i=cards, beyond=st.integers(0, 2), fate=fates)
    def unlock(self, i: int, beyond: int, fate: Fate) -> None:
        self.three.order_unlock(i, beyond)
        self.three.objects(i, Ins.UNLOCK, {Tag.ORDER: self.three.pick(Tag.ORDER, 0)}, fate)

    @rule(i=cards, which=st.integers(0, 1), fate=fates)
    def resolve(self, i: int, which: int, fate: Fate) -> None:
        for entry in self.three.accounts[i].seen.unsettled[which : which + 1]:
            if self.three.resolve(i, entry):
                resolution = self.three.pick(Tag.RESOLUTION, 0)
                self.three.objects(i, Ins.SETTLE, {Tag.RESOLUTION: resolution}, fate)

    @precondition(lambda self: self.DEADLY)
    @rule(i=cards, fate=fates)
    def terminate(self, i: int, fate: Fate) -> None:
        self.three.order_end(i)
        self.three.objects(i, Ins.TERMINATE, {Tag.ORDER: self.three.pick(Tag.ORDER, 0)}, fate)

    # --- everything else -------------------------------------------------------------------------

    @rule(i=cards, step=steps)
    def forge(self, i: int, step: int) -> None:
        self.three.forge(i, (i + step) % 3)

    @rule(
        i=cards,
        ins=others,
        p1=st.integers(0, 255),
        p2=st.sampled_from([0, 1, 4, 12, 0x81]),
        data=st.sampled_from([b"", AID, PIN, PIN + PIN, PUK + PIN, b"9999\xff\xff\xff\xff"]),
        fate=fates,
    )
    def other_command(self, i: int, ins: Ins, p1: int, p2: int, data: bytes, fate: Fate) -> None:
        """PIN, SELECT, READ RECORD, GET DATA, GET RESPONSE, and those of personalization."""
        p1 = p1 if p1 in BY_INS[ins].p1 else 0
        self.three.send(i, CommandApdu(BY_INS[ins].cla, ins, p1, p2, data, 256), fate)

    @rule(i=cards, challenge=st.binary(min_size=15, max_size=17), fate=fates)
    def attest(self, i: int, challenge: bytes, fate: Fate) -> None:
        self.three.objects(i, Ins.ATTEST, {Tag.CHALLENGE: challenge}, fate)

    @rule(i=cards)
    def take_out(self, i: int) -> None:
        """The card loses its power, and is selected again when the next command comes."""
        self.three.purses[i].card.power_off()

    # --- what must be true, after each step ------------------------------------------------------

    @invariant()
    def p1(self) -> None:
        self.ledger.p1_no_value_is_created()

    @invariant()
    def p2(self) -> None:
        self.ledger.p2_all_value_is_accounted()

    @invariant()
    def p3(self) -> None:
        self.ledger.p3_only_authentic_purses_take_part()

    @invariant()
    def p4(self) -> None:
        self.ledger.p4_no_balance_is_below_zero_or_above_the_most()

    @invariant()
    def p5(self) -> None:
        self.ledger.p5_value_in_doubt_is_always_recorded()

    @invariant()
    def p6(self) -> None:
        self.ledger.p6_numbers_are_below_their_owners_next()

    @invariant()
    def p7(self) -> None:
        self.ledger.p7_nothing_speaks_of_a_payment_that_was_not_made()

    @invariant()
    def no_record_is_lost(self) -> None:
        self.ledger.nothing_is_lost_before_the_center_has_seen_it()

    def teardown(self) -> None:
        """All torn transfers can be finished; then nothing is unsettled and the sum is what was issued."""
        if hasattr(self, "three"):
            self.three.finish()
            alive = [a for a in self.three.accounts if a.seen.state is LifeCycle.ACTIVE]
            assert not any(account.seen.unsettled for account in alive)
            self.ledger.p2_all_value_is_accounted()
            assert self.DEADLY or self.ledger.balances == self.ledger.issued


class MerchantMachine(PersonsMachine):
    """A float, a person and a merchant."""

    ROLES = (Role.PERSON, Role.MERCHANT)


class MortalMachine(PersonsMachine):
    """Cards may also be terminated by the center: their money stays on them, and no more is made of it."""

    DEADLY = True


TestPersons = PersonsMachine.TestCase
TestMerchant = MerchantMachine.TestCase
TestMortal = MortalMachine.TestCase
TestPersons.settings = settings(max_examples=300, stateful_step_count=50)
TestMerchant.settings = settings(max_examples=150, stateful_step_count=50)
TestMortal.settings = settings(max_examples=100, stateful_step_count=50)
