"""Broken rules of transfers, credit and lock-out."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from hashlib import sha256
from itertools import count
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from apdu.commands import BY_INS, Ins
from apdu.identity import LifeCycle
from apdu.messages import BodyT, Certificate, Credit, Head, Signed, UnlockOrder, Value
from apdu.objects import Kind, Request, UnsettledEntry
from apdu.payload import Tag, pack
from apdu.proof import Proof
from apdu.response import ResponseApdu
from apdu.signature import ORDER, point_of, private_key
from apdu.status import StatusWord
from applet_model import credit, history, lock_out, purse, unsettled
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline
from applet_model.key_pair import KeyPair
from applet_model.memory import Transaction
from applet_model.memory_map import MemoryMap
from saifu.conformance.provoking import twin_of
from tests.saifu.conformance.mutants import Handler, handler, mutant, never, other_word, put, unsigned

__all__: list[str] = []

# --- the purse -------------------------------------------------------------------------------------------------


@mutant("REQUEST 3", "one cent more than a transfer may move")
def _() -> AbstractContextManager[object]:
    def check(card: CardState, amount: int) -> None:
        if not 0 < amount <= card.parameters.transfer_max + 1:
            raise Decline(0x9506)

    return patch.object(purse, "_check_amount", check)


@mutant("REQUEST 7", "unsettled money is not counted")
def _() -> AbstractContextManager[object]:
    return never(unsettled, "total", 0)


@mutant("REQUEST 5", "the credit's expiry is not compared")
def _() -> AbstractContextManager[object]:
    return never(credit, "check")


@mutant("REQUEST 9", "the history may be overwritten before anybody has seen it")
def _() -> AbstractContextManager[object]:
    return never(history, "require_room")


@mutant("REQUEST", "the nonce is always the same")
def _() -> AbstractContextManager[object]:
    right = CardState.__init__

    def without_chance(card: CardState, cells: MemoryMap, random: Callable[[int], bytes], key_pair: KeyPair) -> None:
        right(card, cells, lambda size: b"\x01" * size if size == 8 else random(size), key_pair)

    return patch.object(CardState, "__init__", without_chance)


@mutant("REQUEST", "nonces count upward")
def _() -> AbstractContextManager[object]:
    right = CardState.__init__
    drawn = count(1)

    def counting(card: CardState, cells: MemoryMap, random: Callable[[int], bytes], key_pair: KeyPair) -> None:
        right(card, cells, lambda size: next(drawn).to_bytes(8) if size == 8 else random(size), key_pair)

    return patch.object(CardState, "__init__", counting)


@mutant("PAY", "every signature is made with the same random number")
def _() -> AbstractContextManager[object]:
    return patch("applet_model.key_pair.sign", _sign_with_one_number)


def _sign_with_one_number(key: EllipticCurvePrivateKey, message: bytes) -> bytes:
    """ECDSA with k = 7: s = (e + r d) / 7."""
    r = int.from_bytes(point_of(private_key((7).to_bytes(32)))[:32]) % ORDER
    e = int.from_bytes(sha256(message).digest())
    s = pow(7, -1, ORDER) * (e + r * key.private_numbers().private_value) % ORDER
    return r.to_bytes(32) + s.to_bytes(32)


@mutant("PAY 4", "a card pays itself")
def _() -> AbstractContextManager[object]:
    return never(purse, "_check_other")


@mutant("PAY 5", "any currency will do")
def _() -> AbstractContextManager[object]:
    right = purse._check_payment

    def check(card: CardState, wanted: Request, payee: Certificate, now: int) -> None:
        right(card, replace(wanted, currency=card.parameters.currency), payee, now)

    return patch.object(purse, "_check_payment", check)


@mutant("PAY 10", "the number of payments until renewal is off by one")
def _() -> AbstractContextManager[object]:
    def check(card: CardState, amount: int) -> None:
        cells = card.cells
        if cells.used_count.number() > card.credit.count:
            raise Decline(0x9503)
        if cells.used_amount.number() + amount > card.credit.amount:
            raise Decline(0x9503)

    return patch.object(credit, "check_allowance", check)


@mutant("PAY 11", "the PIN is wanted from one cent later on")
def _() -> AbstractContextManager[object]:
    right = purse._check_payment

    def check(card: CardState, wanted: Request, payee: Certificate, now: int) -> None:
        verified = card.session.pin_verified
        card.session.pin_verified = verified or wanted.amount == card.parameters.pin_above + 1
        try:
            right(card, wanted, payee, now)
        finally:
            card.session.pin_verified = verified

    return patch.object(purse, "_check_payment", check)


@mutant("PAY 12", "the balance may go below zero")
def _() -> AbstractContextManager[object]:
    right = purse._check_payment

    def check(card: CardState, wanted: Request, payee: Certificate, now: int) -> None:
        try:
            right(card, wanted, payee, now)
        except Decline as declined:
            if declined.sw != 0x9504:
                raise

    def take_off(card: CardState, place: int, value: Value, signed: bytes, point: bytes, now: int) -> None:
        missing = max(0, value.amount - card.cells.balance.number())
        right_take_off(card, place, value if not missing else replace(value, amount=0), signed, point, now)

    right_take_off = purse._take_off
    return patch.multiple(purse, _check_payment=check, _take_off=take_off)


@mutant("PAY 16", "the payee's certificate is not verified")
def _() -> AbstractContextManager[object]:
    return patch.object(CardState, "certified", lambda _card, signed: signed.body)


@mutant("PAY", "the payer's counter is used twice")
def _() -> AbstractContextManager[object]:
    def pay(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        before = card.cells.payments.number()
        answer = right(card, call)
        put(card, payments=before if before else 1)
        return answer

    return handler(Ins.PAY, pay)


@mutant("GIVE AGAIN", "the value is signed anew")
def _() -> AbstractContextManager[object]:
    def give(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        place, signed, _ = unsettled.find(card, int.from_bytes(call.objects[Tag.COUNTER]))
        del right, place
        return ResponseApdu(
            pack({Tag.CERTIFICATE: card.cells.certificate.get(), Tag.VALUE: twin_of(card.sign(signed.body))})
        )

    return handler(Ins.GIVE_AGAIN, give)


@mutant("RECEIVE 6", "the value's signature is not verified")
def _() -> AbstractContextManager[object]:
    right = CardState.check_signature

    def check(card: CardState, signed: Signed[BodyT], point: bytes | None, sw: StatusWord) -> BodyT:
        return signed.body if sw == 0x950B else right(card, signed, point, sw)

    return patch.object(CardState, "check_signature", check)


@mutant("RECEIVE 8", "a refusal follows the receipt")
def _() -> AbstractContextManager[object]:
    return never(history, "received")


@mutant("RECEIVE 9", "a request stays open when it is paid")
def _() -> AbstractContextManager[object]:
    def receive(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        before = card.cells.request_open.number()
        answer = right(card, call)
        put(card, request_open=before)
        return answer

    return handler(Ins.RECEIVE, receive)


@mutant("RECEIVE 12", "the nonce is not compared")
def _() -> AbstractContextManager[object]:
    def is_open(card: CardState, value: Value) -> bool:
        return bool(card.cells.request_open.number()) and value.request == card.cells.request_number.number()

    return patch.object(purse, "_is_open", is_open)


@mutant("SETTLE 6", "anybody's receipt will do")
def _() -> AbstractContextManager[object]:
    return unsigned()


@mutant("SETTLE", "a refund lowers what was used of the credit")
def _() -> AbstractContextManager[object]:
    right = purse._end

    def end(card: CardState, place: int, value: Value, now: int, *, refund: bool) -> None:
        right(card, place, value, now, refund=refund)
        if refund:
            put(card, used_amount=max(0, card.cells.used_amount.number() - value.amount))

    return patch.object(purse, "_end", end)


@mutant("SETTLE", "a receipt brings the money back as well")
def _() -> AbstractContextManager[object]:
    right = purse._end
    return patch.object(purse, "_end", lambda *end, **_: right(*end, refund=True))


@mutant("SETTLE 4", "an unknown transfer is called wrong data")
def _() -> AbstractContextManager[object]:
    return handler(Ins.SETTLE, lambda right, card, call: other_word(right, card, call, 0x6A88, 0x6A80))


# --- credit and lock-out ---------------------------------------------------------------------------------------


@mutant("PUT CREDIT 3", "the same serial is stored again")
def _() -> AbstractContextManager[object]:
    def put_credit(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        old = Credit.decode(card.cells.credit.get()[: Credit.SIZE])
        with patch.object(CardState, "credit", replace(old, serial=old.serial - 1)):
            return right(card, call)

    return handler(Ins.PUT_CREDIT, put_credit)


@mutant("PUT CREDIT", "what was used is not forgotten")
def _() -> AbstractContextManager[object]:
    def put_credit(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        before = card.cells.used_count.number()
        answer = right(card, call)
        put(card, used_count=before)
        return answer

    return handler(Ins.PUT_CREDIT, put_credit)


@mutant("ATTEST", "the unsettled transfers are left out")
def _() -> AbstractContextManager[object]:
    def entries(card: CardState) -> list[UnsettledEntry]:
        del card
        return []

    return patch.object(unsettled, "entries", entries)


@mutant("LOCK OUT", "any listed serial locks the card: the place in the bitmap is not looked at")
def _() -> AbstractContextManager[object]:
    return never(Proof, "lists", True)


@mutant("LOCK OUT", "an older edition locks the card")
def _() -> AbstractContextManager[object]:
    return _any_edition()


@contextmanager
def _any_edition() -> Iterator[None]:
    def head(card: CardState, raw: bytes) -> Signed[Head]:
        signed = card.decode(Head, raw)
        if signed.body.issuer != card.certificate.subject.issuer:
            raise Decline(0x950C)
        card.center_signed(signed, signed.body.key)
        return signed

    with patch.object(lock_out, "_head", head):
        yield


@mutant("UNLOCK", "an order for another card unlocks this one")
def _() -> AbstractContextManager[object]:
    def unlock(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        signed = card.decode(UnlockOrder, call.objects[Tag.ORDER])
        other = replace(card.certificate, subject=signed.body.card)
        with patch.dict(card.__dict__, certificate=other):
            return right(card, call)

    return handler(Ins.UNLOCK, unlock)


@mutant("PUT DATE", "the date moves backward")
def _() -> AbstractContextManager[object]:
    right = lock_out._keep

    def keep(card: CardState, tx: Transaction, signed: Signed[Head]) -> None:
        right(card, tx, signed)
        tx.put(card.cells.date, signed.body.time)

    return patch.object(lock_out, "_keep", keep)


@mutant("Life cycle", "a locked-out card pays")
def _() -> AbstractContextManager[object]:
    row = BY_INS[Ins.PAY]
    both = frozenset((LifeCycle.ACTIVE, LifeCycle.LOCKED_OUT))
    return patch.dict(BY_INS, {int(Ins.PAY): replace(row, states=both)})


@mutant("TERMINATE", "anybody ends the card's life")
def _() -> AbstractContextManager[object]:
    def terminate(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        with unsigned():
            return right(card, call)

    return handler(Ins.TERMINATE, terminate)


@mutant("TERMINATE 3", "an order ends the card's life at any time")
def _() -> AbstractContextManager[object]:
    return handler(Ins.TERMINATE, _at_another_time(0))


@mutant("TERMINATE 3", "the card's own date alone counts for an order")
def _() -> AbstractContextManager[object]:
    return handler(Ins.TERMINATE, _at_another_time(None))


def _at_another_time(date: int | None) -> Callable[[Handler, CardState, Call], ResponseApdu]:
    """The date of the check is a certain one, or the card's own."""

    def terminate(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        now = card.cells.date.number() if date is None else date
        if len(call.objects.get(Tag.DATE, b"")) not in (0, 4):
            raise Decline(StatusWord.WRONG_DATA)
        with patch.object(CardState, "now", lambda *_: now):
            return right(card, call)

    return terminate


@mutant("TERMINATE 3", "the terminal's date alone counts for an order")
def _() -> AbstractContextManager[object]:
    def terminate(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        stated = call.objects.get(Tag.DATE, b"")
        date = int.from_bytes(stated) if len(stated) == 4 else None
        return _at_another_time(date)(right, card, call)

    return handler(Ins.TERMINATE, terminate)


@mutant("PAY", "the record says received instead of paid")
def _() -> AbstractContextManager[object]:
    right = history.append

    def append(card: CardState, tx: Transaction, kind: Kind, value: Value, balance: int, date: int) -> None:
        right(card, tx, Kind.REFUNDED if kind is Kind.PAID else kind, value, balance, date)

    return patch.object(history, "append", append)
