"""A hostile card must not hurt the host: whatever it says, the flow ends in an error of ours, in bounded time,
and no money of the honest side is lost.

The hostile card is a real one with somebody between it and the terminal, so that the honest end of the same
cards can be seen afterwards.
"""

from collections.abc import Callable

import pytest

from apdu import ber
from apdu.commands import BY_INS, Ins
from apdu.errors import MisbehaviourError, RefusedError, SaifuError
from apdu.identity import CardId, LifeCycle
from apdu.messages import Certificate, Receipt, Refusal, Signed, Value
from apdu.objects import PurseStatus, Request
from apdu.payload import Tag, pack, unpack
from apdu.signature import SIGNATURE_SIZE, private_key
from apdu.status import StatusError, StatusWord
from center.editions import report_stolen
from host.session import PurseSession
from host.terminal.terminal import ListedCardError
from host.terminal.transfer import Transfer
from tests.host.terminal.faults import honest
from tests.host.terminal.flows import AMOUNT, FLOWS, PAYEE, PAYER, Flow
from tests.host.terminal.town import Card, Hook, HookedSlot, Keypad, Town
from tests.issuer import NOW, PIN

OK = b"\x90\x00"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
STRANGER = private_key(bytes(39) + b"\x07")
Real = Callable[[bytes], bytes]


def answering(ins: Ins, change: Callable[[bytes], bytes]) -> Hook:
    """The card acts, and its answer to one kind of command is changed."""

    def hook(command: bytes, card: Real) -> bytes:
        return change(card(command)) if command[1] == ins else card(command)

    return hook


def instead(ins: Ins, answer: bytes) -> Hook:
    """The card does not act on one kind of command, and says this."""

    def hook(command: bytes, card: Real) -> bytes:
        return answer if command[1] == ins else card(command)

    return hook


def objects(answer: bytes, ins: Ins) -> dict[Tag, bytes]:
    """The objects in a successful answer."""
    assert answer[-2:] == OK
    return unpack(answer[:-2], (), BY_INS[ins].gives)


class Desk:
    """Two real cards in a purse terminal, each with somebody who can speak in its place."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.payer, self.payee = town.card(10_000), town.card()

    def remit(self, payer: Hook = honest, payee: Hook = honest, amount: int = AMOUNT) -> Transfer:
        left = HookedSlot(self.payer.slot("left"), payer)
        right = HookedSlot(self.payee.slot("right"), payee)
        try:
            return self.town.purse_terminal().remit(left, right, amount)
        finally:
            assert (left.ejected, right.ejected) == (1, 1)

    def finish(self) -> None:
        self.town.purse_terminal().resume(self.payer.slot("left"), self.payee.slot("right"))
        assert self.payer.unsettled == 0

    @property
    def held(self) -> tuple[int, int]:
        return self.payer.balance, self.payee.balance


@pytest.fixture
def desk(town: Town) -> Desk:
    return Desk(town)


# --- classes 1 to 3: any bad answer at any moment --------------------------------------------------------------

BAD: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "one byte": lambda _: b"\x90",
    "success without data": lambda _: OK,
    "61xx for ever": lambda _: b"\x61\x00",
    "61xx for ever, with data": lambda _: bytes(256) + b"\x61\xff",
    "6Cxx for ever": lambda _: b"\x6c\x00",
    "an unknown word": lambda _: b"\x12\x34",
    "data beside an error word": lambda true: true[:-2] + b"\x6f\x00",
    "longer than Le": lambda _: bytes(257) + OK,
    "65,538 bytes": lambda _: bytes(65_536) + OK,
    "zeros": lambda true: bytes(len(true) - 2) + OK,
    "FF": lambda true: b"\xff" * (len(true) - 2) + OK,
    "cut off": lambda true: true[:-3] + OK,
    "a byte more": lambda true: true[:-2] + b"\0" + OK,
    "twice": lambda true: true[:100] * 2 + OK,
    "the last bit turned": lambda true: true[:-3] + bytes((true[-3] ^ 1,)) + OK if len(true) > 2 else b"\x69\x85",
    "the middle turned": lambda true: true[: len(true) // 2] + b"\x55" + true[len(true) // 2 + 1 :],
    "a warning for success": lambda true: true[:-2] + b"\x62\x83",
}  # fmt: skip
MOST_COMMANDS = 300


class BadFrom:
    """A card whose answers are bad, from the ``at``-th command on: once or for ever."""

    def __init__(self, at: int, make: Callable[[bytes], bytes], *, once: bool) -> None:
        self.at, self.make, self.once = at, make, once
        self.seen = 0

    def __call__(self, command: bytes, card: Real) -> bytes:
        at, self.seen = self.seen, self.seen + 1
        bad = at == self.at if self.once else at >= self.at
        answer = card(command)
        return self.make(answer) if bad else answer


def ended(flow: Flow, place: int, hook: BadFrom) -> bool:
    """Run the flow; whether it came to an end without an error."""
    flow.begin()
    try:
        flow.run((hook, honest) if place == PAYER else (honest, hook))
    except SaifuError:
        return False
    return True


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ["remittance", "sale"])
def test_any_bad_answer_at_any_moment(town: Town, name: str, bad: str) -> None:
    """The same cards, honest again, then make the transfer; nothing was lost before."""
    flow = FLOWS[name](town)
    for place in (PAYER, PAYEE):
        for once in (True, False):
            at, done = 0, False
            while True:
                hook = BadFrom(at, BAD[bad], once=once)
                done = ended(flow, place, hook)
                assert hook.seen <= MOST_COMMANDS
                flow.again()
                assert flow.moved() in ((AMOUNT, 2 * AMOUNT) if not done else (2 * AMOUNT,))
                if hook.seen <= at:
                    break
                at += 1
            assert at >= 3
            assert done


# --- class 6: 9000 to what was not done, and values of others --------------------------------------------------


def test_a_payment_that_was_not_made_is_worth_nothing(desk: Desk) -> None:
    payer, payee = desk.payer.id, desk.payee.id
    certificate = desk.payer.look().get_certificate().raw

    def forge(command: bytes, card: Real) -> bytes:
        if command[1] != Ins.PAY:
            return card(command)
        asked = Request.decode(unpack(command[5:-1], BY_INS[Ins.PAY].takes, (Tag.DATE,))[Tag.REQUEST])
        value = Value(payer, 1, payee, asked.number, asked.nonce, asked.amount, asked.currency)
        return pack({Tag.CERTIFICATE: certificate, Tag.VALUE: Signed.make(value, STRANGER).raw}) + OK

    with pytest.raises(StatusError, match="RECEIVE: a signature does not verify"):
        desk.remit(payer=forge)
    assert desk.held == (10_000, 0)


def test_the_value_of_another_card_is_not_taken(desk: Desk, town: Town) -> None:
    other = town.card(1000)

    def borrow(command: bytes, card: Real) -> bytes:
        if command[1] != Ins.PAY:
            return card(command)
        other.look()
        return other.slot("hidden").transmit(command)

    with pytest.raises(MisbehaviourError, match="answers PAY with something else than was asked"):
        desk.remit(payer=borrow)
    assert desk.held == (10_000, 0)


def test_an_old_value_is_not_taken_again(desk: Desk) -> None:
    said: list[bytes] = []

    def overhear(command: bytes, card: Real) -> bytes:
        answer = card(command)
        if command[1] == Ins.PAY:
            said.append(answer)
        return answer

    desk.remit(payer=overhear)
    with pytest.raises(MisbehaviourError, match="answers PAY"):
        desk.remit(payer=instead(Ins.PAY, said[0]))
    assert desk.held == (10_000 - AMOUNT, AMOUNT)


def test_a_card_that_asks_for_more_than_the_display_shows_gets_nothing(desk: Desk) -> None:
    def greedy(command: bytes, card: Real) -> bytes:
        if command[1] != Ins.REQUEST:
            return card(command)
        asked = AMOUNT.to_bytes(4)
        assert asked in command
        return card(command.replace(asked, (4 * AMOUNT).to_bytes(4), 1))

    with pytest.raises(MisbehaviourError, match="answers REQUEST with something else than was asked"):
        desk.remit(payee=greedy)
    assert desk.held == (10_000, 0)
    assert desk.payer.unsettled == 0


def renamed(card: CardId) -> Callable[[bytes], bytes]:
    """SELECT's answer with another card ID."""

    def change(answer: bytes) -> bytes:
        inner = ber.find(answer[:-2], 0x6F, 0xA5)
        own = unpack(inner, (Tag.CARD_ID, Tag.STATUS))[Tag.CARD_ID]
        return answer.replace(own, card)

    return change


@pytest.mark.parametrize("place", [PAYER, PAYEE])
def test_a_listed_card_under_another_name_gets_no_business(desk: Desk, town: Town, place: int) -> None:
    thief = (desk.payer, desk.payee)[place]
    report_stolen(town.center, thief.id)
    town.publish()
    hook = answering(Ins.SELECT, renamed(CardId.of(1, 4711)))
    with pytest.raises(MisbehaviourError, match="something else than was asked"):
        desk.remit(*((hook, honest) if place == PAYER else (honest, hook)))
    assert desk.payee.balance == 0
    assert desk.payer.balance + desk.payer.unsettled == 10_000
    assert not (place == PAYEE and desk.payer.unsettled)


@pytest.mark.parametrize("name", ["lying balance", "lying count of unsettled transfers"])
def test_a_lying_status_moves_no_money(town: Town, name: str) -> None:
    desk = Desk(town)
    desk.payer = town.card(AMOUNT - 1)

    def lie(answer: bytes) -> bytes:
        true = PurseStatus(LifeCycle.ACTIVE, 0, AMOUNT - 1, 0).encode()
        told = {"lying balance": (0, 50_000), "lying count of unsettled transfers": (255, AMOUNT)}[name]
        return answer.replace(true, PurseStatus(LifeCycle.ACTIVE, *told, 0).encode())

    merchant, sales = desk.payee, town.sales()
    with pytest.raises(StatusError, match="PAY: too little money"):
        town.pos().sell(
            HookedSlot(desk.payer.slot("left"), answering(Ins.SELECT, lie)), merchant.slot("till"), AMOUNT, sales
        )
    assert desk.held == (AMOUNT - 1, 0)
    assert sales.amount(merchant.id) == 0


@pytest.mark.parametrize("locks", [False, True])
def test_success_to_lock_out_is_looked_at(desk: Desk, town: Town, locks: bool) -> None:
    report_stolen(town.center, desk.payer.id)
    town.publish()
    hook = honest if locks else instead(Ins.LOCK_OUT, OK)
    with pytest.raises(ListedCardError, match="it is locked out" if locks else "pretends to be locked out: keep it"):
        desk.remit(payer=hook)
    assert desk.payer.state is (LifeCycle.LOCKED_OUT if locks else LifeCycle.ACTIVE)
    assert desk.held == (10_000, 0)


def test_a_listed_card_that_answers_lock_out_under_another_name_is_listed_still(desk: Desk, town: Town) -> None:
    report_stolen(town.center, desk.payer.id)
    town.publish()
    names = iter([desk.payer.id, CardId.of(1, 4711)])
    hook = answering(Ins.SELECT, lambda answer: renamed(next(names))(answer))
    with pytest.raises(ListedCardError, match="could not be locked out .* calls itself"):
        desk.remit(payer=hook)


@pytest.mark.parametrize("ins", [Ins.LOCK_OUT, Ins.SELECT])
def test_a_listed_card_that_fails_in_lock_out_is_listed_still(desk: Desk, town: Town, ins: Ins) -> None:
    report_stolen(town.center, desk.payer.id)
    town.publish()
    calls = iter([honest, lambda _command, _card: b"\x61\x00"] if ins is Ins.SELECT else [])

    def hook(command: bytes, card: Real) -> bytes:
        if command[1] != ins:
            return card(command)
        return next(calls, lambda _command, _card: b"")(command, card)

    with pytest.raises(ListedCardError, match="could not be locked out"):
        desk.remit(payer=hook)


@pytest.mark.parametrize("kind", [Receipt, Refusal])
def test_a_made_up_answer_to_receive_settles_nothing(desk: Desk, kind: type[Receipt] | type[Refusal]) -> None:
    """The payee keeps the value to itself; when it is honest again, the money arrives."""
    tag = Tag.RECEIPT if kind is Receipt else Tag.REFUSAL
    forged = Signed.make(kind(desk.payer.id, 1, desk.payee.id), STRANGER)
    with pytest.raises(StatusError, match="SETTLE: a signature does not verify"):
        desk.remit(payee=instead(Ins.RECEIVE, pack({tag: forged.raw}) + OK))
    assert (desk.held, desk.payer.unsettled) == ((10_000 - AMOUNT, 0), AMOUNT)
    desk.finish()
    assert desk.held == (10_000 - AMOUNT, AMOUNT)


def test_the_receipt_of_another_transfer_settles_nothing(desk: Desk) -> None:
    said: list[bytes] = []

    def overhear(answer: bytes) -> bytes:
        said.append(answer)
        return answer

    desk.remit(payee=answering(Ins.RECEIVE, overhear))
    with pytest.raises(MisbehaviourError, match="answers RECEIVE for another transfer"):
        desk.remit(payee=instead(Ins.RECEIVE, said[0]))
    assert desk.payer.unsettled == AMOUNT
    desk.finish()
    assert desk.held == (10_000 - 2 * AMOUNT, 2 * AMOUNT)


def test_success_to_settle_that_was_not_done_only_hurts_the_payer(desk: Desk) -> None:
    assert desk.remit(payer=instead(Ins.SETTLE, OK)).settled
    assert (desk.held, desk.payer.unsettled) == ((10_000 - AMOUNT, AMOUNT), AMOUNT)
    desk.finish()
    assert desk.held == (10_000 - AMOUNT, AMOUNT)


def test_a_card_that_gives_again_what_another_card_paid(desk: Desk, town: Town) -> None:
    other = town.card(1000)
    payer, payee = other.look(), desk.payee.look()
    borrowed = payer.pay(payee.request(AMOUNT, payer.card, NOW), NOW)
    answer = pack({Tag.CERTIFICATE: borrowed.certificate.raw, Tag.VALUE: borrowed.value.raw}) + OK
    paying, paid = desk.payer.look(), desk.payee.look()
    paying.pay(paid.request(5, paying.card, NOW), NOW)
    with pytest.raises(MisbehaviourError, match="answers GIVE AGAIN with something else than was asked"):
        desk.remit(payer=instead(Ins.GIVE_AGAIN, answer))
    assert desk.payee.balance == 0


def test_a_pin_that_is_never_counted_down_is_not_asked_for_ever(desk: Desk, town: Town) -> None:
    town.keypad = Keypad(*[PIN] * 100)
    with pytest.raises(MisbehaviourError, match="counts no tries"):
        desk.remit(payer=instead(Ins.VERIFY, b"\x63\xcf"), amount=6000)
    with pytest.raises(MisbehaviourError, match="counts no tries"):
        desk.remit(payer=instead(Ins.VERIFY, b"\x63\xc3"), amount=6000)
    assert len(town.keypad.asked) == 1 + 2


def test_a_pin_that_is_accepted_and_asked_again_ends(desk: Desk, town: Town) -> None:
    town.keypad = Keypad(*[PIN] * 100)
    with pytest.raises(StatusError) as declined:
        desk.remit(payer=instead(Ins.PAY, StatusWord.SECURITY_STATUS.to_bytes(2)), amount=6000)
    assert declined.value.sw == StatusWord.SECURITY_STATUS
    assert len(town.keypad.asked) == 1


# --- class 7: another card ------------------------------------------------------------------------------------


class Swapped:
    """A slot in which another card takes the place of the first at a command."""

    def __init__(self, ins: Ins, other: Card, *, selected: bool) -> None:
        self.ins, self.other, self.swapped = ins, other.slot("hidden"), False
        self.other.connect()
        if selected:
            PurseSession(self.other)

    def __call__(self, command: bytes, card: Real) -> bytes:
        self.swapped = self.swapped or command[1] == self.ins
        return self.other.transmit(command) if self.swapped else card(command)


@pytest.mark.parametrize("selected", [False, True])
@pytest.mark.parametrize(("place", "ins"), [(PAYER, Ins.PAY), (PAYER, Ins.SETTLE), (PAYEE, Ins.RECEIVE)])
def test_another_card_in_the_middle_gets_nothing(desk: Desk, town: Town, place: int, ins: Ins, selected: bool) -> None:
    other = town.card(1000)
    hook = Swapped(ins, other, selected=selected)
    with pytest.raises((StatusError, MisbehaviourError)):
        desk.remit(*((hook, honest) if place == PAYER else (honest, hook)))
    assert other.balance + other.unsettled == 1000
    desk.finish()
    assert sum(desk.held) == 10_000


def test_another_payee_from_the_start_of_the_transfer_gets_nothing(desk: Desk, town: Town) -> None:
    """The terminal has looked at one card, and asks another one for the request."""
    other = town.card(0)
    with pytest.raises((StatusError, MisbehaviourError)):
        desk.remit(payee=Swapped(Ins.REQUEST, other, selected=True))
    assert (desk.held, desk.payer.unsettled, other.balance) == ((10_000, 0), 0, 0)


def test_a_copy_of_the_payer_in_the_other_slot_gets_nothing(desk: Desk) -> None:
    desk.payee = desk.payer.copy()
    with pytest.raises(StatusError, match="this is for another card"):
        desk.remit()
    assert desk.held == (10_000, 10_000)


def test_a_name_that_changes_after_a_torn_transfer_ends_the_business(desk: Desk) -> None:
    paying, paid = desk.payer.look(), desk.payee.look()
    paying.pay(paid.request(5, paying.card, NOW), NOW)
    names = iter([desk.payer.id, CardId.of(1, 4711)])
    with pytest.raises(MisbehaviourError, match="calls itself"):
        desk.remit(payer=answering(Ins.SELECT, lambda answer: renamed(next(names))(answer)))
    assert desk.held == (9_995, 5)


# --- class 10: signatures that cannot be -------------------------------------------------------------------------

NUMBERS = {"0": 0, "n": ORDER, "n+1": ORDER + 1, "all ones": (1 << 256) - 1}


def with_signature(ins: Ins, tag: Tag, r: int, s: int) -> Hook:
    """The signature in one object of the answers to a command replaced."""

    def change(answer: bytes) -> bytes:
        if answer[-2:] != OK:
            return answer
        found = objects(answer, ins)
        found[tag] = found[tag][:-SIGNATURE_SIZE] + r.to_bytes(32) + s.to_bytes(32)
        return pack(found) + OK

    return answering(ins, change)


@pytest.mark.parametrize("r", NUMBERS)
@pytest.mark.parametrize("s", NUMBERS)
@pytest.mark.parametrize(
    ("place", "ins", "tag"),
    [
        (PAYEE, Ins.REQUEST, Tag.CERTIFICATE),
        (PAYER, Ins.PAY, Tag.CERTIFICATE),
        (PAYER, Ins.PAY, Tag.VALUE),
    ],
)
def test_impossible_signatures_are_worth_nothing(town: Town, place: int, ins: Ins, tag: Tag, r: str, s: str) -> None:
    desk = Desk(town)
    hook = with_signature(ins, tag, NUMBERS[r], NUMBERS[s])
    with pytest.raises(StatusError):
        desk.remit(*((hook, honest) if place == PAYER else (honest, hook)))
    assert desk.payee.balance == 0
    desk.finish()
    assert desk.held in ((10_000, 0), (10_000 - AMOUNT, AMOUNT))


@pytest.mark.parametrize("r", NUMBERS)
def test_an_attestation_with_an_impossible_signature_renews_nothing(town: Town, r: str) -> None:
    card = town.card()

    def hook(command: bytes, real: Real) -> bytes:
        answer = real(command)
        if command[1] == Ins.GET_RESPONSE:
            return answer[: -SIGNATURE_SIZE - 2] + NUMBERS[r].to_bytes(32) + bytes(32) + answer[-2:]
        return answer

    with pytest.raises(RefusedError, match="the attestation is not signed by it"):
        town.atm().renew(HookedSlot(card.slot("atm"), hook), town.line)
    assert card.look().get_credit()[0].body.serial == 1


# --- lists without an end -------------------------------------------------------------------------------------


def test_a_card_that_says_its_history_has_no_end_is_not_read_for_ever(town: Town) -> None:
    card, asked = town.card(1000), 0

    def hook(command: bytes, real: Real) -> bytes:
        nonlocal asked
        asked += 1
        if command[1] == Ins.READ_RECORD:
            return real(command[:2] + b"\x01\x0c\x00")
        return real(command)

    town.purse_terminal().insert(HookedSlot(card.slot("left"), hook))
    assert asked <= 20


def test_a_card_that_says_it_has_records_it_has_not_is_not_renewed(town: Town) -> None:
    card = town.card(1000)
    card.put("record", 40)
    with pytest.raises(SaifuError):
        town.atm().renew(card.slot("atm"), town.line)
    assert card.look().get_credit()[0].body.serial == 1


def test_a_certificate_of_a_stranger_opens_no_purse(desk: Desk) -> None:
    true = desk.payee.look().get_certificate().body
    forged = Signed.make(Certificate(true.key, true.subject, true.role, true.expiry, true.point), STRANGER)

    def change(answer: bytes) -> bytes:
        return pack(objects(answer, Ins.REQUEST) | {Tag.CERTIFICATE: forged.raw}) + OK

    with pytest.raises(StatusError, match="PAY: the other card's certificate does not verify"):
        desk.remit(payee=answering(Ins.REQUEST, change))
    assert desk.held == (10_000, 0)
