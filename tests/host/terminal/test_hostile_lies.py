"""Cards that lie: 9000 to what was not done, values of others, other names, impossible signatures, swapped cards."""

from contextlib import nullcontext
from itertools import product

import pytest

from apdu.commands import BY_INS, Ins
from apdu.errors import MisbehaviourError, ReaderError, RefusedError
from apdu.identity import CardId, LifeCycle, Role
from apdu.messages import Receipt, Refusal, Signed, Value
from apdu.objects import PurseStatus, Request
from apdu.payload import Tag, pack, unpack
from apdu.signature import SIGNATURE_SIZE
from apdu.status import StatusError
from center.editions import report_stolen
from host.session import PurseSession
from host.terminal.terminal import ListedCardError
from tests.host.terminal.faults import Lost, honest
from tests.host.terminal.flows import AMOUNT, PAYEE, PAYER
from tests.host.terminal.lies import OK, STRANGER, Desk, Real, answering, instead, objects, renamed
from tests.host.terminal.town import Card, Hook, HookedSlot, Town
from tests.issuer import NOW

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

# --- 9000 to what was not done, and values of others --------------------------------------------------


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


@pytest.mark.parametrize("ins", [Ins.PAY, Ins.GIVE_AGAIN])
def test_a_value_under_the_certificate_of_another_card_is_not_taken(desk: Desk, town: Town, ins: Ins) -> None:
    """The value is the payer's own; who was looked up in the blacklist is who must be certified."""
    other = town.card().look().get_certificate().raw
    if ins == Ins.GIVE_AGAIN:
        with pytest.raises(ReaderError):
            desk.remit(payer=Lost(answered=True, ins=Ins.PAY))

    def borrow(answer: bytes) -> bytes:
        return pack(objects(answer, ins) | {Tag.CERTIFICATE: other}) + OK

    with pytest.raises(MisbehaviourError, match="with something else than was asked"):
        desk.remit(payer=answering(ins, borrow))
    assert desk.held == (10_000 - AMOUNT, 0)
    desk.finish()


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
    desk.payer, desk.payee = town.card(AMOUNT - 1), town.card(role=Role.MERCHANT)

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
    with pytest.raises(ListedCardError, match=r"could not be locked out .* calls itself"):
        desk.remit(payer=hook)


@pytest.mark.parametrize("ins", [Ins.LOCK_OUT, Ins.SELECT])
def test_a_listed_card_that_fails_in_lock_out_is_listed_still(desk: Desk, town: Town, ins: Ins) -> None:
    report_stolen(town.center, desk.payer.id)
    town.publish()
    good = iter([Ins.SELECT] if ins is Ins.SELECT else [])

    def hook(command: bytes, card: Real) -> bytes:
        return card(command) if command[1] != ins or next(good, None) else b""

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


# --- another card ------------------------------------------------------------------------------------


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
    late = ins is Ins.SETTLE and not selected  # the money has arrived, and a card that says 6985 is none to believe
    with nullcontext() if late else pytest.raises((StatusError, MisbehaviourError)):
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


# --- signatures that cannot be -------------------------------------------------------------------------

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


@pytest.mark.parametrize(
    ("place", "ins", "tag"),
    [(PAYEE, Ins.REQUEST, Tag.CERTIFICATE), (PAYER, Ins.PAY, Tag.CERTIFICATE), (PAYER, Ins.PAY, Tag.VALUE)],
)
def test_impossible_signatures_are_worth_nothing(desk: Desk, place: int, ins: Ins, tag: Tag) -> None:
    for r, s in product(NUMBERS.values(), repeat=2):
        hook = with_signature(ins, tag, r, s)
        before = desk.held
        with pytest.raises(StatusError):
            desk.remit(*((hook, honest) if place == PAYER else (honest, hook)))
        assert desk.payee.balance == before[PAYEE]
        desk.finish()
        assert desk.held in (before, (before[PAYER] - AMOUNT, before[PAYEE] + AMOUNT))


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


def test_a_certificate_of_a_stranger_opens_no_purse(desk: Desk) -> None:
    true = desk.payee.look().get_certificate().body
    forged = Signed.make(true, STRANGER)

    def change(answer: bytes) -> bytes:
        return pack(objects(answer, Ins.REQUEST) | {Tag.CERTIFICATE: forged.raw}) + OK

    with pytest.raises(StatusError, match="PAY: the other card's certificate does not verify"):
        desk.remit(payee=answering(Ins.REQUEST, change))
    assert desk.held == (10_000, 0)
