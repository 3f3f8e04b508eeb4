"""Cases on SETTLE and GIVE AGAIN: how a transfer is ended, by whom, and what is given until then."""

from dataclasses import replace
from functools import partial

from apdu.commands import Ins
from apdu.identity import CardId
from apdu.messages import Outcome, Receipt, Refusal, Resolution, Signed
from apdu.objects import CreditUsed, HistoryRecord, Kind, UnsettledEntry
from apdu.payload import Tag
from apdu.status import StatusWord as W
from host.session import Answer, Paid, PurseSession
from saifu.conformance.case import case
from saifu.conformance.issuer import NOW, ORDERS
from saifu.conformance.partner import Partner
from saifu.conformance.provoking import (
    forgeries,
    misshapen,
    require_places,
    signed_by_other_center_keys,
    twin_of,
)
from saifu.conformance.stand import Stand
from saifu.conformance.subject import must

__all__: list[str] = []

_case = partial(case, ins=Ins.SETTLE)
_again = partial(case, ins=Ins.GIVE_AGAIN)


def _unsettled(stand: Stand, amount: int = 100) -> tuple[Partner, Paid]:
    """A ready card that has paid, and whom it has paid."""
    stand.ready()
    payee = stand.partner()
    return payee, stand.paid(payee.asks(amount))


def _offer(stand: Stand, tag: Tag, raw: bytes, sw: int) -> None:
    stand.card.send(Ins.SETTLE, {tag: raw}, sw, ne=None)


def _with_outcome(resolution: bytes, outcome: int) -> bytes:
    """A resolution that was changed, with the signature that it had."""
    return resolution[: Resolution.SIZE - 1] + bytes((outcome,)) + resolution[Resolution.SIZE :]


def _settles(stand: Stand, answer: Answer | Signed[Resolution]) -> None:
    """The transfer ends, without money and without a record."""
    before = stand.balance, stand.card.twin.cells.record.number()
    stand.settle(answer)
    must((stand.balance, stand.card.twin.cells.record.number()) == before, "settling moved money or wrote a record")


def _refunds(stand: Stand, paid: Paid, answer: Answer | Signed[Resolution]) -> None:
    """The transfer ends, and the money comes back."""
    before, session = stand.balance, PurseSession(stand.card)
    newest, value = session.get_counters().record, paid.value.body
    stand.settle(answer)
    after, record = session.get_counters(), session.read_record(0)
    balance = before + value.amount
    wanted = HistoryRecord(
        newest + 1, Kind.REFUNDED, value.payee, value.counter, value.request, value.amount, balance, after.date
    )  # fmt: skip
    must(record == wanted, "the record does not say what was refunded")
    must(session.select().status.balance == balance, "the money is not back on the purse")


# --- what is declined --------------------------------------------------------------------------------------


@_case("SETTLE 1", "two objects at once end nothing")
def _two_objects(stand: Stand) -> None:
    payee, paid = _unsettled(stand)
    receipt, refusal = payee.answers(paid), payee.answers(paid, Refusal)
    resolution = stand.resolution(paid.value.body.counter)
    for objects in (
        {Tag.RECEIPT: receipt.raw, Tag.REFUSAL: refusal.raw},
        {Tag.REFUSAL: refusal.raw, Tag.RESOLUTION: resolution.raw},
        {Tag.RESOLUTION: resolution.raw, Tag.RECEIPT: receipt.raw},
    ):
        stand.card.send(Ins.SETTLE, objects, W.WRONG_DATA, ne=None)
    _settles(stand, receipt)


@_case("SETTLE 2", "a receipt and a refusal have the size and the type of one")
def _answer_layout(stand: Stand) -> None:
    payee, paid = _unsettled(stand)
    receipt, refusal = payee.answers(paid), payee.answers(paid, Refusal)
    for tag, good, other in ((Tag.RECEIPT, receipt, refusal), (Tag.REFUSAL, refusal, receipt)):
        for wrong in (*misshapen(good.raw), other.raw):
            _offer(stand, tag, wrong, W.WRONG_DATA)
    _settles(stand, receipt)


@_case("SETTLE 2", "a resolution has the size, the type and an outcome of one")
def _resolution_layout(stand: Stand) -> None:
    _, paid = _unsettled(stand)
    good = stand.resolution(paid.value.body.counter)
    for wrong in (*misshapen(good.raw), *(_with_outcome(good.raw, outcome) for outcome in (0, 3))):
        _offer(stand, Tag.RESOLUTION, wrong, W.WRONG_DATA)
    _refunds(stand, paid, good)


@_case("SETTLE 3", "an answer to another payer ends nothing")
def _other_payer(stand: Stand) -> None:
    payee, paid = _unsettled(stand)
    others = stand.issuer.id(stand.id.serial ^ 0x0001), CardId.of(stand.issuer.number ^ 0x0100, stand.id.serial)
    for payer in (payee.card, *others):
        value = replace(paid.value.body, payer=payer)
        for kind in (Receipt, Refusal):
            stand.settle(payee.answers(payee.gives(value), kind), W.NOT_THIS_CARD)
        body = Resolution(ORDERS, payer, value.counter, Outcome.NEVER_RECEIVED)
        stand.settle(Signed.make(body, stand.issuer.orders), W.NOT_THIS_CARD)
    _settles(stand, payee.answers(paid))


@_case("SETTLE 4", "an answer with another counter ends nothing")
def _other_counter(stand: Stand) -> None:
    payee, paid = _unsettled(stand)
    counter = paid.value.body.counter
    for other in (counter - 1, counter + 1, counter ^ 0x0100_0000, 0, 0xFFFF_FFFF):
        stand.settle(payee.answers(payee.gives(replace(paid.value.body, counter=other)), Refusal), W.DATA_NOT_FOUND)
        stand.settle(stand.resolution(other), W.DATA_NOT_FOUND)
    _settles(stand, payee.answers(paid))


@_case("SETTLE 4", "a transfer ends once, whatever comes behind its receipt")
def _once_settled(stand: Stand) -> None:
    payee, paid = _unsettled(stand)
    counter = paid.value.body.counter
    _settles(stand, payee.answers(paid))
    must(PurseSession(stand.card).get_unsettled() == [], "the transfer is still unsettled")
    for kind in (Receipt, Refusal):
        stand.settle(payee.answers(paid, kind), W.DATA_NOT_FOUND)
    for outcome in Outcome:
        stand.settle(stand.resolution(counter, outcome), W.DATA_NOT_FOUND)


@_case("SETTLE 4", "money comes back once, whatever comes behind its refusal, also after a reset")
def _once_refunded(stand: Stand) -> None:
    payee, paid = _unsettled(stand)
    _refunds(stand, paid, payee.answers(paid, Refusal))
    stand.card.fresh()
    stand.settle(payee.answers(paid, Refusal), W.DATA_NOT_FOUND)
    stand.settle(payee.answers(paid), W.DATA_NOT_FOUND)
    stand.settle(stand.resolution(paid.value.body.counter), W.DATA_NOT_FOUND)


@_case("SETTLE 5", "only the payee that the value names has a say, whoever else signs")
def _other_payee(stand: Stand) -> None:
    payee, paid = _unsettled(stand)
    other = stand.partner()
    for kind in (Receipt, Refusal):
        stand.settle(other.answers(paid, kind), W.NOT_THIS_CARD)
        stand.settle(payee.answers(paid, kind, other.card), W.NOT_THIS_CARD)
    _settles(stand, payee.answers(paid))


@_case("SETTLE 6", "nobody but the payee signs its receipts")
def _forged_receipt(stand: Stand) -> None:
    payee, paid = _unsettled(stand)
    receipt = payee.answers(paid)
    for forged in forgeries(receipt.raw, payee.key):
        _offer(stand, Tag.RECEIPT, forged, W.SIGNATURE_INVALID)
    _settles(stand, receipt)


@_case("SETTLE 6", "nobody but the payee signs its refusals, and a receipt's signature is for a receipt")
def _forged_refusal(stand: Stand) -> None:
    payee, paid = _unsettled(stand)
    receipt, refusal = payee.answers(paid), payee.answers(paid, Refusal)
    crossed = refusal.raw[: Refusal.SIZE] + receipt.raw[Receipt.SIZE :]
    for forged in (crossed, *forgeries(refusal.raw, payee.key)):
        _offer(stand, Tag.REFUSAL, forged, W.SIGNATURE_INVALID)
    _refunds(stand, paid, refusal)


@_case("SETTLE 6", "the key that signs for one transfer signs for no other")
def _other_key(stand: Stand) -> None:
    require_places(stand, 2)
    payee, paid = _unsettled(stand)
    other = stand.partner()
    second = stand.paid(other.asks(200))
    for kind in (Receipt, Refusal):
        stand.settle(other.answers(paid, kind, payee.card), W.SIGNATURE_INVALID)
        stand.settle(payee.answers(second, kind, other.card), W.SIGNATURE_INVALID)
    _settles(stand, payee.answers(paid))
    _refunds(stand, second, other.answers(second, Refusal))


@_case("SETTLE 6", "nobody but the center resolves a transfer")
def _forged_resolution(stand: Stand) -> None:
    payee, paid = _unsettled(stand)
    resolution = stand.resolution(paid.value.body.counter, Outcome.RECEIVED)
    changed = _with_outcome(resolution.raw, Outcome.NEVER_RECEIVED)
    for forged in (changed, *forgeries(resolution.raw, stand.issuer.orders)):
        _offer(stand, Tag.RESOLUTION, forged, W.SIGNATURE_INVALID)
    stand.settle(payee.signs(resolution.body), W.SIGNATURE_INVALID)
    _settles(stand, resolution)


@_case("SETTLE 6", "a key of the center that is for certificates, or unknown, resolves nothing")
def _other_center_keys(stand: Stand) -> None:
    _, paid = _unsettled(stand)
    resolution = stand.resolution(paid.value.body.counter)
    for forged in signed_by_other_center_keys(resolution.raw, stand.issuer):
        _offer(stand, Tag.RESOLUTION, forged, W.SIGNATURE_INVALID)
    _refunds(stand, paid, resolution)


@_case("SETTLE", "of several things that are wrong at once the first of the table is told")
def _order(stand: Stand) -> None:
    payee, paid = _unsettled(stand)
    value, other = paid.value.body, stand.partner()
    wrong = Receipt(other.card, value.counter + 1, other.card)
    forged = other.signs(wrong).raw
    two = {Tag.RECEIPT: forged[:-1], Tag.REFUSAL: forged}
    stand.card.send(Ins.SETTLE, two, W.WRONG_DATA, ne=None)
    _offer(stand, Tag.RECEIPT, forged[:-1], W.WRONG_DATA)
    _offer(stand, Tag.RECEIPT, forged, W.NOT_THIS_CARD)
    stand.settle(other.signs(replace(wrong, payer=stand.id)), W.DATA_NOT_FOUND)
    stand.settle(stand.partner().signs(replace(wrong, payer=stand.id, counter=value.counter)), W.NOT_THIS_CARD)
    stand.settle(other.signs(Receipt(stand.id, value.counter, payee.card)), W.SIGNATURE_INVALID)
    _settles(stand, payee.answers(paid))


# --- what ends a transfer ----------------------------------------------------------------------------------


@_case("SETTLE", "a refusal brings the money back and is written down; the credit that was used stays used")
def _refusal(stand: Stand) -> None:
    stand.ready(count=5, amount=1_000)
    payee = stand.partner()
    paid = stand.paid(payee.asks(700))
    _refunds(stand, paid, payee.answers(paid, Refusal))
    session = PurseSession(stand.card)
    must(session.get_credit()[1] == CreditUsed(1, 700), "the refund gave back what was used of the credit")
    must(session.get_unsettled() == [], "the transfer is still unsettled")


@_case("SETTLE", "the center's resolution settles a transfer, or brings the money back")
def _resolutions(stand: Stand) -> None:
    payee, paid = _unsettled(stand)
    _settles(stand, stand.resolution(paid.value.body.counter, Outcome.RECEIVED))
    lost = stand.paid(payee.asks(300))
    _refunds(stand, lost, stand.resolution(lost.value.body.counter))


@_case("SETTLE", "transfers end in any order, each by its own answer, and the others stay, lowest counter first")
def _any_order(stand: Stand) -> None:
    require_places(stand, 3)
    stand.ready()
    payee, session = stand.partner(), PurseSession(stand.card)
    paid = [stand.paid(payee.asks(amount)) for amount in (100, 200, 300)]
    _settles(stand, payee.answers(paid[1]))
    _refunds(stand, paid[0], payee.answers(paid[0], Refusal))
    stand.renew()
    later = stand.paid(payee.asks(400))
    counters = [one.value.body.counter for one in (paid[2], later)]
    wanted = [UnsettledEntry(counter, payee.card, amount) for counter, amount in zip(counters, (300, 400), strict=True)]
    must(session.get_unsettled() == wanted, "GET DATA 0106 tells other transfers, or in another order")
    attested = session.attest(bytes(16)).attestation.body
    must(attested.unsettled_counters == tuple(counters), "ATTEST tells other transfers, or in another order")
    _settles(stand, payee.answers(later))
    _refunds(stand, paid[2], stand.resolution(counters[0]))


@_case("SETTLE", "neither PIN nor credit in date is wanted to end a transfer")
def _wants_nothing(stand: Stand) -> None:
    payee, paid = _unsettled(stand)
    stand.renew(expiry=NOW - 1, count=0, amount=0)
    _refunds(stand, paid, payee.answers(paid, Refusal))


def _payee_whose_receipt(stand: Stand, at: int) -> Partner:
    """A partner that signs the receipt of the next payment with a zero there."""
    counter = stand.card.twin.cells.payments.number() + 1
    partners = (stand.partner() for _ in range(100_000))
    return next(one for one in partners if not one.signs(Receipt(stand.id, counter, one.card)).raw[at])


@_case("Signatures", "a receipt whose r or s begins with zeros, or whose s is high or low, is as good as any")
def _unusual_signatures(stand: Stand) -> None:
    stand.ready()
    for at in (Receipt.SIZE, Receipt.SIZE + 32):
        payee = _payee_whose_receipt(stand, at)
        stand.settle(payee.answers(stand.paid(payee.asks(1))))
    payee = stand.partner()
    for change in (twin_of, bytes):
        paid = stand.paid(payee.asks(1))
        _offer(stand, Tag.RECEIPT, change(payee.answers(paid).raw), W.OK)


# --- GIVE AGAIN --------------------------------------------------------------------------------------------


@_again("GIVE AGAIN 1", "the counter has 4 bytes")
def _sizes_of_counter(stand: Stand) -> None:
    _, paid = _unsettled(stand)
    raw = paid.value.body.counter.to_bytes(4)
    for wrong in (b"", raw[1:], b"\0" + raw, raw + b"\0"):
        stand.card.send(Ins.GIVE_AGAIN, {Tag.COUNTER: wrong}, W.WRONG_DATA)
    stand.give_again(paid.value.body.counter)


@_again("GIVE AGAIN 2", "only what is unsettled is given again, and neither what was settled nor refunded")
def _only_unsettled(stand: Stand) -> None:
    payee, paid = _unsettled(stand)
    counter = paid.value.body.counter
    for other in (counter - 1, counter + 1, counter ^ 0x0100_0000, 0, 0xFFFF_FFFF):
        stand.give_again(other, W.DATA_NOT_FOUND)
    stand.settle(payee.answers(paid))
    stand.give_again(counter, W.DATA_NOT_FOUND)
    refunded = stand.paid(payee.asks(1))
    stand.settle(payee.answers(refunded, Refusal))
    stand.give_again(counter + 1, W.DATA_NOT_FOUND)


@_again("GIVE AGAIN", "the answer is that of PAY, byte by byte, as often as it is asked for, and after a reset")
def _byte_by_byte(stand: Stand) -> None:
    stand.ready()
    payee = stand.partner()
    answer = stand.pay(payee.asks(100))
    counter = stand.card.twin.cells.payments.number()
    for _ in range(3):
        must(stand.give_again(counter) == answer, "the value that is given again is another")
    stand.card.fresh()
    must(stand.give_again(counter) == answer, "the value that is given again after a reset is another")


@_again("GIVE AGAIN", "each transfer gives its own value, whichever place it has")
def _each_its_own(stand: Stand) -> None:
    require_places(stand, 2)
    _unsettled(stand)
    answers = {}
    for amount in (200, 300)[: stand.card.twin.cells.unsettled_capacity - 1]:
        answer = stand.pay(stand.partner().asks(amount))
        answers[stand.card.twin.cells.payments.number()] = answer
    for counter, answer in reversed(answers.items()):
        must(stand.give_again(counter) == answer, "another value is given")


@_again("GIVE AGAIN", "neither PIN nor credit in date is wanted")
def _gives_without_credit(stand: Stand) -> None:
    stand.ready()
    amount = stand.parameters.pin_above + 1
    stand.verify()
    answer = stand.pay(stand.partner().asks(amount))
    stand.renew(expiry=NOW - 1, count=0, amount=0)
    stand.card.fresh()
    must(stand.give_again(stand.card.twin.cells.payments.number()) == answer, "the value is another")
