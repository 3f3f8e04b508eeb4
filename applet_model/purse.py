"""The purse: REQUEST, PAY, RECEIVE, SETTLE and GIVE AGAIN, between two cards that do not trust the terminal.

Money leaves the payer in PAY and arrives at the payee in RECEIVE, each in one transaction. In between
it is a value that only one card can receive, once; the payer keeps it until a receipt, a refusal or the
center's resolution ends the transfer.

Without the PIN a purse pays small amounts, and not more than the PIN sum in all. The sum begins anew with a
payment for which the PIN was verified, and with nothing else; and a verified PIN is good for one payment. So
whoever holds the card, or has it in a terminal of his own, takes that much from it and no more.
"""

from apdu.errors import FormatError
from apdu.identity import CardId
from apdu.messages import Certificate, Outcome, Receipt, Refusal, Resolution, Value
from apdu.objects import NO_PIN_SUM, Kind, Request
from apdu.payload import Tag
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import credit, history, unsettled
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline, unless
from applet_model.payload import pack

__all__ = ["give_again", "pay", "receive", "request", "settle"]

_LAST = 0xFFFFFFFF
"""Where a counter ends."""


def _check_amount(card: CardState, amount: int) -> None:
    unless(0 < amount <= card.parameters.transfer_max, StatusWord.TRANSFER_LIMIT)


def _fits(card: CardState, amount: int) -> bool:
    """Whether the purse could hold that much more, should all unsettled money come back as well."""
    held = card.cells.balance.number() + unsettled.total(card)
    return held + amount <= card.parameters.balance_max


def _check_other(card: CardState, other: CardId) -> None:
    own = card.certificate.subject
    unless(other != own and other.issuer == own.issuer, StatusWord.NOT_THIS_CARD)


def request(card: CardState, call: Call) -> ResponseApdu:
    """REQUEST, the payee's part: opens request n; one slot is written and no log grows."""
    amount_raw, payer_raw = call.objects[Tag.AMOUNT], call.objects[Tag.CARD_ID]
    unless(len(amount_raw) == 4 and len(payer_raw) == CardId.SIZE, StatusWord.WRONG_DATA)
    amount, payer, cells = int.from_bytes(amount_raw), CardId(payer_raw), card.cells
    _check_other(card, payer)
    _check_amount(card, amount)
    credit.check(card, card.now(call))
    unless(_fits(card, amount), StatusWord.BALANCE_LIMIT)
    history.require_room(card, len(unsettled.used(card)) + 1)
    number = cells.request_number.number() + 1
    unless(number <= _LAST, StatusWord.COUNTER_EXHAUSTED)
    opened = Request(number, card.random(8), amount, card.parameters.currency).encode()
    with cells.memory.transaction() as tx:
        tx.put(cells.request, opened)
        tx.put(cells.request_payer, payer)
        tx.put(cells.request_open, 1)
    return ResponseApdu(pack({Tag.CERTIFICATE: cells.certificate.get(), Tag.REQUEST: opened}))


def pay(card: CardState, call: Call) -> ResponseApdu:
    """PAY, the payer's part: S107, S310. One verification, one signature, one transaction."""
    payee = card.decode(Certificate, call.objects[Tag.CERTIFICATE])
    wanted = _decode_request(call.objects[Tag.REQUEST])
    now = card.now(call)
    _check_payment(card, wanted, payee.body, now)
    place = unsettled.free_place(card)
    history.require_room(card, len(unsettled.used(card)) + card.cells.request_open.number() + 2)
    certificate = card.certified(payee)
    counter = card.cells.payments.number() + 1
    unless(counter <= _LAST, StatusWord.COUNTER_EXHAUSTED)
    value = Value(
        card.certificate.subject, counter, certificate.subject, wanted.number, wanted.nonce, wanted.amount,
        wanted.currency,
    )  # fmt: skip
    signed = card.sign(value)
    _take_off(card, place, value, signed, certificate.point, now)
    return ResponseApdu(pack({Tag.CERTIFICATE: card.cells.certificate.get(), Tag.VALUE: signed}))


def _decode_request(raw: bytes) -> Request:
    try:
        return Request.decode(raw)
    except FormatError:
        raise Decline(StatusWord.WRONG_DATA) from None


def _check_payment(card: CardState, wanted: Request, payee: Certificate, now: int) -> None:
    """Everything but the signature, in the order that protocol.md gives."""
    parameters = card.parameters
    _check_other(card, payee.subject)
    unless(wanted.currency == parameters.currency, StatusWord.CURRENCY)
    _check_amount(card, wanted.amount)
    unless(now <= min(card.certificate.expiry, payee.expiry), StatusWord.CERTIFICATE_EXPIRED)
    credit.check(card, now)
    credit.check_allowance(card, wanted.amount)
    unless(card.session.pin_verified or _needs_no_pin(card, wanted.amount), StatusWord.SECURITY_STATUS)
    unless(wanted.amount <= card.cells.balance.number(), StatusWord.INSUFFICIENT_MONEY)


def _needs_no_pin(card: CardState, amount: int) -> bool:
    """Whether so little may be paid without the PIN, in one payment and in all since the last one with it."""
    limits, paid = card.parameters, card.cells.without_pin.number()
    return amount <= limits.pin_above and (limits.pin_sum == NO_PIN_SUM or paid + amount <= limits.pin_sum)


def _take_off(card: CardState, place: int, value: Value, signed: bytes, point: bytes, now: int) -> None:
    """Take the money off in one transaction; a PIN that was verified is used up by it."""
    cells, verified = card.cells, card.session.pin_verified
    balance = cells.balance.number() - value.amount
    with cells.memory.transaction() as tx:
        tx.put(cells.balance, balance)
        tx.put(cells.payments, value.counter)
        tx.put(cells.used_count, cells.used_count.number() + 1)
        tx.put(cells.used_amount, cells.used_amount.number() + value.amount)
        tx.put(cells.without_pin, 0 if verified else min(cells.without_pin.number() + value.amount, NO_PIN_SUM))
        unsettled.keep(card, tx, place, signed, point)
        history.append(card, tx, Kind.PAID, value, balance, now)
    card.session.pin_verified = False


def receive(card: CardState, call: Call) -> ResponseApdu:
    """RECEIVE, the payee's part: credits once and signs a receipt, or signs a refusal that holds for ever."""
    certificate = card.decode(Certificate, call.objects[Tag.CERTIFICATE])
    signed = card.decode(Value, call.objects[Tag.VALUE])
    value, now = signed.body, card.now(call)
    own = card.certificate.subject
    unless(value.payee == own and value.payer == certificate.body.subject, StatusWord.NOT_THIS_CARD)
    payer = card.certified(certificate)
    card.check_signature(signed, payer.point, StatusWord.SIGNATURE_INVALID)
    if _credited(card, value, payer, now):
        return ResponseApdu(pack({Tag.RECEIPT: card.sign(Receipt(value.payer, value.counter, own))}))
    return ResponseApdu(pack({Tag.REFUSAL: card.sign(Refusal(value.payer, value.counter, own))}))


def _credited(card: CardState, value: Value, payer: Certificate, now: int) -> bool:
    """Whether the value is on the purse after this: it was received before, or answers the open request.

    9512 for another value with the counter of one that was received, which only a cloned payer gives;
    950F when the history does not reach back far enough to know.
    """
    record = history.received(card, value)
    if record is not None:
        same = (record.request, record.amount) == (value.request, value.amount)
        unless(same, StatusWord.SAME_COUNTER)
        return True
    if _is_open(card, value):
        # Room was judged in REQUEST: until it is closed nothing raises balance and unsettled money together.
        return _close(card, value, now, now <= payer.expiry)
    unless(value.request > card.cells.request_floor.number(), StatusWord.BEYOND_HISTORY)
    return False


def _is_open(card: CardState, value: Value) -> bool:
    """Whether the value answers the open request in everything: n, nonce, amount, currency and payer."""
    asked = Request(value.request, value.nonce, value.amount, value.currency).encode()
    cells = card.cells
    return bool(cells.request_open.number()) and (cells.request.get(), cells.request_payer.get()) == (
        asked,
        value.payer,
    )


def _close(card: CardState, value: Value, now: int, accept: bool) -> bool:
    """Close the request, with the money or, in a refusal, without: either way in one transaction."""
    cells = card.cells
    balance = cells.balance.number() + value.amount
    with cells.memory.transaction() as tx:
        tx.put(cells.request_open, 0)
        if accept:
            tx.put(cells.balance, balance)
            history.append(card, tx, Kind.RECEIVED, value, balance, now)
    return accept


def settle(card: CardState, call: Call) -> ResponseApdu:
    """SETTLE, the payer's part: exactly one of receipt, refusal and resolution; a refund's record has the date."""
    answers = [tag for tag in (Tag.RECEIPT, Tag.REFUSAL, Tag.RESOLUTION) if tag in call.objects]
    unless(len(answers) == 1, StatusWord.WRONG_DATA)
    if answers[0] is Tag.RESOLUTION:
        _resolved(card, call)
    else:
        _answered(card, call, answers[0])
    return ResponseApdu()


def _answered(card: CardState, call: Call, tag: Tag) -> None:
    """Check the payee's receipt or refusal against the key that was kept with the transfer."""
    kind: type[Receipt | Refusal] = Receipt if tag is Tag.RECEIPT else Refusal
    signed = card.decode(kind, call.objects[tag])
    answer, now = signed.body, card.now(call)
    unless(answer.payer == card.certificate.subject, StatusWord.NOT_THIS_CARD)
    place, value, point = unsettled.find(card, answer.counter)
    unless(answer.payee == value.body.payee, StatusWord.NOT_THIS_CARD)
    card.check_signature(signed, point, StatusWord.SIGNATURE_INVALID)
    _end(card, place, value.body, now, refund=isinstance(answer, Refusal))


def _resolved(card: CardState, call: Call) -> None:
    """Check the center's resolution."""
    signed = card.decode(Resolution, call.objects[Tag.RESOLUTION])
    resolution, now = signed.body, card.now(call)
    unless(resolution.payer == card.certificate.subject, StatusWord.NOT_THIS_CARD)
    place, value, _ = unsettled.find(card, resolution.counter)
    card.center_signed(signed, resolution.key)
    _end(card, place, value.body, now, refund=resolution.outcome is Outcome.NEVER_RECEIVED)


def _end(card: CardState, place: int, value: Value, now: int, *, refund: bool) -> None:
    """Forget the transfer; a refund also returns the money, in the same transaction."""
    cells = card.cells
    with cells.memory.transaction() as tx:
        unsettled.release(card, tx, place)
        if refund:
            balance = cells.balance.number() + value.amount
            tx.put(cells.balance, balance)
            history.append(card, tx, Kind.REFUNDED, value, balance, now)


def give_again(card: CardState, call: Call) -> ResponseApdu:
    """GIVE AGAIN: the value of an unsettled transfer, as often as it is asked for."""
    unless(len(call.objects[Tag.COUNTER]) == 4, StatusWord.WRONG_DATA)
    _, signed, _ = unsettled.find(card, int.from_bytes(call.objects[Tag.COUNTER]))
    return ResponseApdu(pack({Tag.CERTIFICATE: card.cells.certificate.get(), Tag.VALUE: signed.raw}))
