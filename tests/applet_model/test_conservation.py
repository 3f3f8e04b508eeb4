"""Money is conserved, whatever is done to three real cards.

A float with money and two purses, small enough that history, unsettled places and limits run full. Between
them: all commands of the table in any order, resets, power cuts at any physical write and of any kind, lost
commands and answers, replays of anything ever sent, made-up and forged messages, and crossed ones.
"""

from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from apdu.command import CommandApdu
from apdu.commands import BY_INS, COMMANDS, Ins
from apdu.identity import AID, LifeCycle, Role
from apdu.objects import Request
from apdu.payload import Tag
from applet_model.memory import Cut
from tests.applet_model.three_cards import ARRIVES, Fate, ThreeCards
from tests.issuer import EUR, FAR, NOW, PIN, PUK

SOON = NOW + 50_000
"""When short credit ends."""
cuts = st.tuples(st.integers(0, 9), st.sampled_from(Cut))
fates = st.one_of(
    *[st.just(ARRIVES)] * 4,
    st.sampled_from([Fate(sent=False), Fate(answered=False)]),
    st.builds(Fate, cut=cuts, recovery=st.none() | cuts),
)
cards = st.integers(0, 2)
steps = st.integers(1, 2)
"""From one card to another one."""
ages = st.one_of(st.just(0), st.just(0), st.integers(0, 40))
"""Which of the earlier messages: 0 is the newest."""
amounts = st.sampled_from([0, 1, 400, 999, 1_000, 1_500, 2_000, 2_001])
dates = st.sampled_from([0, NOW, NOW, NOW, NOW, SOON, SOON + 1, FAR + 1]).map(lambda date: date.to_bytes(4))
carriers = st.sampled_from([row.ins for row in COMMANDS if row.takes or row.optional])
others = st.sampled_from([row.ins for row in COMMANDS if not (row.takes or row.optional)])


class PersonsMachine(RuleBasedStateMachine):
    """A float and two persons."""

    ROLES: ClassVar[tuple[Role, Role]] = (Role.PERSON, Role.PERSON)
    DEADLY: ClassVar[bool] = False

    @initialize()
    def personalize(self) -> None:
        self.three = ThreeCards(self.ROLES)
        self.ledger = self.three.ledger

    # --- payee and payer, as a terminal would, or in any other order -----------------------------

    @rule(i=cards, step=steps, amount=amounts, date=dates, fate=fates)
    def request(self, i: int, step: int, amount: int, date: bytes, fate: Fate) -> None:
        payer = self.three.accounts[(i + step) % 3].card
        sent = {Tag.AMOUNT: amount.to_bytes(4), Tag.CARD_ID: payer, Tag.DATE: date}
        self.three.objects(i, Ins.REQUEST, sent, fate)

    @rule(i=cards, certificate=ages, request=ages, date=dates, pin=st.booleans(), fate=fates)
    def pay(self, i: int, certificate: int, request: int, date: bytes, pin: bool, fate: Fate) -> None:
        if pin:
            self.three.send(i, CommandApdu(0x00, Ins.VERIFY, 0x00, 0x81, PIN))
        self._carry(i, Ins.PAY, {Tag.CERTIFICATE: certificate, Tag.REQUEST: request}, date, fate)

    @rule(i=cards, certificate=ages, value=ages, date=dates, fate=fates)
    def receive(self, i: int, certificate: int, value: int, date: bytes, fate: Fate) -> None:
        self._carry(i, Ins.RECEIVE, {Tag.CERTIFICATE: certificate, Tag.VALUE: value}, date, fate)

    def _carry(self, i: int, ins: Ins, ages: dict[Tag, int], date: bytes, fate: Fate) -> None:
        objects = {tag: self.three.pick(tag, age) for tag, age in ages.items()}
        self.three.objects(i, ins, objects | {Tag.DATE: date}, fate)

    @rule(i=cards, kind=st.sampled_from([Tag.RECEIPT, Tag.REFUSAL, Tag.RESOLUTION]), age=ages, fate=fates)
    def settle(self, i: int, kind: Tag, age: int, fate: Fate) -> None:
        self.three.objects(i, Ins.SETTLE, {kind: self.three.pick(kind, age)}, fate)

    @rule(i=cards, which=st.integers(0, 3), fate=fates)
    def give_again(self, i: int, which: int, fate: Fate) -> None:
        counter = self.three.accounts[i].seen.counters.payments - which
        self.three.objects(i, Ins.GIVE_AGAIN, {Tag.COUNTER: max(0, counter).to_bytes(4)}, fate)

    @rule(i=cards, step=steps, amount=amounts, pin=st.booleans(), fates=st.tuples(fates, fates, fates, fates))
    def transfer(self, i: int, step: int, amount: int, pin: bool, fates: tuple[Fate, ...]) -> None:
        """All four steps, each with its own fate."""
        payer, payee = (i + step) % 3, i
        three, now = self.three, NOW.to_bytes(4)
        self.request(payee, step, amount, now, fates[0])
        own = three.pool[Tag.CERTIFICATE].index(three.certificates[payee].raw)
        self.pay(payer, len(three.pool[Tag.CERTIFICATE]) - 1 - own, 0, now, pin, fates[1])
        objects = {Tag.CERTIFICATE: three.certificates[payer].raw, Tag.VALUE: three.pick(Tag.VALUE, 0)}
        three.objects(payee, Ins.RECEIVE, objects | {Tag.DATE: now}, fates[2])
        for kind in (Tag.RECEIPT, Tag.REFUSAL):
            self.settle(payer, kind, 0, fates[3])

    @rule(i=cards, number=st.integers(0, 6), amount=amounts)
    def make_a_request_up(self, i: int, number: int, amount: int) -> None:
        """Nobody opened it, but it looks as if card ``i`` had, or soon would."""
        number += max(0, self.three.accounts[i].seen.counters.requests - 3)
        self.three.learn(Tag.REQUEST, Request(number, bytes(8), amount, EUR).encode())

    # --- the center ------------------------------------------------------------------------------

    @rule(i=cards, uploads=st.booleans(), expiry=st.sampled_from([NOW, SOON, FAR]), few=st.booleans())
    def sign_credit(self, i: int, uploads: bool, expiry: int, few: bool) -> None:
        told = self.three.accounts[i].seen.counters
        terms = {"count": 1, "amount": 500} if few else {"count": 20, "amount": 20_000}
        self.three.credit(i, told.record if uploads else told.seen, expiry=expiry, issued=NOW, **terms)

    @rule(i=cards, listed=st.sets(cards), time=st.integers(NOW - 1_000, SOON + 1_000))
    def publish(self, i: int, listed: set[int], time: int) -> None:
        self.three.publish(listed, time)

    @rule(i=cards, beyond=st.integers(0, 2))
    def order_unlock(self, i: int, beyond: int) -> None:
        self.three.order_unlock(i, beyond)

    @rule(i=cards, which=st.integers(0, 1))
    def resolve(self, i: int, which: int) -> None:
        for entry in self.three.accounts[i].seen.unsettled[which : which + 1]:
            self.three.resolve(i, entry)

    @rule(i=cards, tag=st.sampled_from([Tag.CREDIT, Tag.ORDER, Tag.HEAD]), age=ages, fate=fates)
    def bring(self, i: int, tag: Tag, age: int, fate: Fate) -> None:
        """PUT CREDIT, UNLOCK, PUT DATE."""
        ins = {Tag.CREDIT: Ins.PUT_CREDIT, Tag.ORDER: Ins.UNLOCK, Tag.HEAD: Ins.PUT_DATE}[tag]
        self.three.objects(i, ins, {tag: self.three.pick(tag, age)}, fate)

    @rule(i=cards, head=ages, proof=ages, fate=fates)
    def lock_out(self, i: int, head: int, proof: int, fate: Fate) -> None:
        sent = {Tag.HEAD: self.three.pick(Tag.HEAD, head), Tag.PROOF: self.three.pick(Tag.PROOF, proof)}
        self.three.objects(i, Ins.LOCK_OUT, sent, fate)

    @precondition(lambda self: self.DEADLY)
    @rule(i=cards, fate=fates)
    def terminate(self, i: int, fate: Fate) -> None:
        self.three.order_end(i)
        self.three.objects(i, Ins.TERMINATE, {Tag.ORDER: self.three.pick(Tag.ORDER, 0)}, fate)

    # --- everything else -------------------------------------------------------------------------

    @rule(i=cards, age=st.integers(0, 60), fate=fates)
    def replay(self, i: int, age: int, fate: Fate) -> None:
        """Any earlier command, to the same card or another."""
        if self.three.sent:
            sent = self.three.sent[-1 - age % len(self.three.sent)]
            self.three.send(i, sent, fate)

    @rule(i=cards, ins=carriers, ages=st.lists(st.integers(0, 60), min_size=3, max_size=3), fate=fates)
    def cross(self, i: int, ins: Ins, ages: list[int], fate: Fate) -> None:
        """Any messages in any command that takes some."""
        tags = BY_INS[ins].takes or BY_INS[ins].optional[:1]
        sent = {tag: self.three.anything(age) for tag, age in zip(tags, ages, strict=False)}
        self.three.objects(i, ins, sent, fate)

    @rule(i=cards, tag=st.sampled_from(Tag), age=ages, at=st.integers(0, 200), bit=st.integers(0, 7))
    def mutate(self, i: int, tag: Tag, age: int, at: int, bit: int) -> None:
        """One bit of a message is changed; other rules pick it up."""
        if raw := bytearray(self.three.pick(tag, age)):
            raw[at % len(raw)] ^= 1 << bit
            self.three.learn(tag, bytes(raw))

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
TestPersons.settings = settings(max_examples=100, stateful_step_count=50)
TestMerchant.settings = settings(max_examples=60, stateful_step_count=50)
TestMortal.settings = settings(max_examples=40, stateful_step_count=50)
