"""What an exchange tells about a card, and what is known after it."""

from collections.abc import Callable

from apdu.commands import Ins
from apdu.identity import AID, LifeCycle
from apdu.objects import NO_PIN_SUM
from apdu.payload import Tag
from apdu.trace import meaning_tags as tags
from apdu.trace.meaning_fields import Fields
from apdu.trace.meaning_heard import Heard, brings_back, settling
from apdu.trace.meaning_memory import Place, Purse, Transfer
from apdu.trace.meaning_words import card_text

__all__ = ["TELLING", "follow", "lost", "recognize", "same_request"]

_LAST_BLOCK, _MAKE_KEY = 0x80, 0x80
# a member of an enumeration takes long to look up
_SELECT, _READ_RECORD, _TERMINATED = int(Ins.SELECT), int(Ins.READ_RECORD), int(LifeCycle.TERMINATED)
_PIN_WRONG = 0x63
_BLOCKED = 0x6983


def recognize(heard: Heard) -> None:
    """Note what an answer tells, and the card that an exchange is about: the one that SELECT tells, else the slot's.

    Does nothing but for TELLING, and where no card is known yet.
    """
    if heard.accepted and heard.ins in TELLING:
        _note(heard)
    if heard.ins == _SELECT:
        if tags.STATUS in heard.got:
            heard.purse = _arrived(heard, heard.place)
    elif heard.purse is None and heard.got:
        _meet(heard, heard.place)


def _meet(heard: Heard, place: Place) -> None:
    """The first answer that names its card, where no SELECT has."""
    if card := _named(heard):
        purse = heard.ledger.purse(card)
        _sit(purse, place)
        heard.purse = place.purse = purse
        # a trace may begin in the middle: who answers like the purse is the purse
        place.application = AID if place.application is None else place.application


def _arrived(heard: Heard, place: Place) -> Purse:
    """The card in an answer to SELECT; a new sitting begins, unless resets are told and none was."""
    card = heard.got.get(tags.CARD_ID, b"")
    before = place.purse
    purse = heard.ledger.purse(card) if card else before if before is not None and not before.card else Purse()
    if not place.resets:
        place.sitting = object()
    _sit(purse, place)
    return purse


def _sit(purse: Purse, place: Place) -> None:
    if purse.sitting is not place.sitting:
        purse.begin(place.sitting)


def _named(heard: Heard) -> bytes:
    """The card that an answer names as its own."""
    got = heard.got
    for tag, field in ((tags.CERTIFICATE, "subject"), (tags.PARAMETERS, "card"), (tags.CREDIT, "card")):
        if tag in got:
            return bytes(getattr(got[tag], field))
    answer = got.get(tags.RECEIPT) or got.get(tags.REFUSAL)
    return bytes(answer.payee if answer else got.get(tags.CARD_ID, b""))


# --- what is told ------------------------------------------------------------------------------------------


def _note(heard: Heard) -> None:
    for tag, body in heard.got.items():
        if tag in _FACTS:
            heard.exact, heard.grown = _FACTS[tag](body)
            return
    if heard.record is not None and heard.ins == _READ_RECORD and heard.header.p1 == 1 and heard.header.p2 >> 3 == 1:
        heard.exact = {"record": heard.record.number, "balance": heard.record.balance}
        heard.grown = {"record": heard.record.number}


Facts = tuple[dict[str, int], dict[str, int]]
"""Facts that hold now, and numbers that never go back."""


def _of_status(status: Fields) -> Facts:
    state, unsettled, balance, edition = status
    return {"state": state, "balance": balance, "unsettled": unsettled}, {"edition": edition}


def _of_attestation(told: Fields) -> Facts:
    exact = {"state": told.state, "balance": told.balance, "open": told.open, "record": told.record}
    grown = {"counter": told.counter, "requests": told.request, "record": told.record}
    return (
        exact | {"counter": told.counter, "requests": told.request, "credit": told.credit},
        grown | {"credit": told.credit, "edition": told.edition, "date": told.date},
    )


def _of_counters(told: Fields) -> Facts:
    payments, requests, is_open, record, seen, date, without_pin = told
    exact = {"counter": payments, "requests": requests, "open": is_open, "record": record, "without_pin": without_pin}
    return exact, {"counter": payments, "requests": requests, "record": record, "seen": seen, "date": date}


def _of_credit(told: Fields) -> Facts:
    return {"credit": told.serial}, {"credit": told.serial, "seen": told.seen}


_FACTS: dict[Tag, Callable[[Fields], Facts]] = {
    tags.STATUS: _of_status,
    tags.ATTESTATION: _of_attestation,
    tags.COUNTERS: _of_counters,
    tags.UNSETTLED: lambda told: ({"unsettled": len(told)}, {}),
    tags.CREDIT: _of_credit,
}
"""What an object tells of its card."""


def same_request(purse: Purse, value: Fields) -> bool:
    """Whether a value answers the request that is open, which this sitting has seen opened."""
    return purse.request == (value.request, value.nonce, value.amount, value.currency, value.payer)


# --- what is known afterwards ------------------------------------------------------------------------------


def follow(heard: Heard) -> None:
    """Remember what an answered command has changed, and what was told."""
    if heard.accepted:
        if (step := _STEPS.get(heard.ins)) is not None:
            step(heard)
        if heard.exact and heard.purse is not None:
            _remember(heard.purse, heard)
    elif heard.ins in _PIN_COMMANDS and (heard.sw >> 8 == _PIN_WRONG or heard.sw == _BLOCKED):
        heard.place.verified = False


def _remember(purse: Purse, heard: Heard) -> None:
    purse.exact.update(heard.exact)
    if heard.exact.get("state") == _TERMINATED:
        purse.ended = True
    grown = purse.grown
    for name, value in heard.grown.items():
        if value > grown.get(name, -1):
            grown[name] = value


def lost(ins: int, place: Place) -> None:
    """A command was sent and its end was not seen: what it may have changed is not known any more."""
    if ins in _PIN_COMMANDS or (ins == Ins.PAY and place.verified):
        place.verified = None
    if ins in _CHANNEL_COMMANDS:
        place.level = None
    if (purse := place.purse) is not None and ins in _STEPS:
        purse.lose(*_UNSURE.get(ins, ()))
        if ins in (Ins.REQUEST, Ins.RECEIVE):
            purse.request = purse.first_request = None


_UNSURE = {
    int(Ins.REQUEST): ("open", "requests"),
    int(Ins.PAY): ("balance", "unsettled", "counter", "record", "payments_left", "amount_left", "without_pin"),
    int(Ins.RECEIVE): ("balance", "open", "record"),
    int(Ins.SETTLE): ("balance", "unsettled", "record"),
    int(Ins.PUT_CREDIT): ("credit", "payments_left", "amount_left"),
    int(Ins.LOCK_OUT): ("state",),
    int(Ins.UNLOCK): ("state",),
    int(Ins.TERMINATE): ("state",),
    int(Ins.STORE_DATA): ("state",),
    int(Ins.GENERATE_KEY_PAIR): ("state",),
}
"""Which facts each command changes."""
_PIN_COMMANDS = frozenset((int(Ins.VERIFY), int(Ins.CHANGE_REFERENCE_DATA)))
_CHANNEL_COMMANDS = frozenset(
    (int(Ins.SELECT), int(Ins.INITIALIZE_UPDATE), int(Ins.EXTERNAL_AUTHENTICATE), int(Ins.PUT_KEY))
)
TELLING = frozenset((int(Ins.SELECT), int(Ins.GET_DATA), int(Ins.READ_RECORD), int(Ins.ATTEST)))
"""Instructions whose answers tell what a card is."""


def _grow(purse: Purse, name: str, value: int) -> None:
    """A number that never goes back is as high as this."""
    if value > purse.grown.get(name, -1):
        purse.grown[name] = value


def _select(heard: Heard) -> None:
    if heard.place.purse is not heard.purse and heard.purse is not None:
        heard.place.purse = heard.purse
    heard.place.application, heard.place.level, heard.place.verified = heard.data, 0, False


def _request(heard: Heard) -> None:
    request, purse = heard.got.get(tags.REQUEST), heard.purse
    if request is None or purse is None:
        return
    payer = heard.given.get(tags.CARD_ID)
    purse.request = request.number, request.nonce, request.amount, request.currency, payer
    purse.first_request = purse.first_request or request.number
    purse.exact["requests"], purse.exact["open"] = request.number, 1
    _grow(purse, "requests", request.number)
    purse.currency = heard.ledger.currency = request.currency
    heard.ledger.keep_nonce(request.nonce, card_text(purse.card) if purse.card else "a card")


def _pay(heard: Heard) -> None:
    value, purse = heard.got.get(tags.VALUE), heard.purse
    if value is None or purse is None:
        return
    purse.add(balance=-value.amount, unsettled=1, record=1, payments_left=-1, amount_left=-value.amount)
    purse.exact["counter"] = value.counter
    _grow(purse, "counter", value.counter)
    _use_up_pin(heard.place, purse, value.amount)
    purse.currency = heard.ledger.currency = value.currency
    heard.ledger.made(value.payer, value.counter, Transfer(value.payee, value.amount, value.currency, made=True))


def _use_up_pin(place: Place, purse: Purse, amount: int) -> None:
    """A payment with the PIN begins the sum of those without it anew, and the PIN is good for no other."""
    if place.verified:
        purse.exact["without_pin"] = 0
    elif place.verified is None:
        purse.lose("without_pin")
    elif (paid := purse.exact.get("without_pin")) is not None:
        purse.exact["without_pin"] = min(paid + amount, NO_PIN_SUM)
    place.verified = False


def _give_again(heard: Heard) -> None:
    if (value := heard.got.get(tags.VALUE)) is not None:
        heard.ledger.currency = value.currency
        heard.ledger.made(value.payer, value.counter, Transfer(value.payee, value.amount, value.currency, made=True))


def _receive(heard: Heard) -> None:
    value, purse = heard.given.get(tags.VALUE), heard.purse
    if value is None or not heard.got:
        return
    receipt = tags.RECEIPT in heard.got
    known = heard.ledger.transfer(value.payer, value.counter)
    if purse is not None:
        _credit(purse, value, receipt=receipt, again=known is not None and known.answer == "receipt")
    kept = heard.ledger.answer(
        value.payer, value.counter, known or Transfer(value.payee, value.amount, value.currency, made=False)
    )
    kept.answer = "receipt" if receipt else "refusal"
    heard.ledger.currency = value.currency


def _credit(purse: Purse, value: Fields, *, receipt: bool, again: bool) -> None:
    """What RECEIVE has changed: only the value of the open request brings money, and closes it."""
    if again:
        return
    if same_request(purse, value):
        purse.request = None
        purse.exact["open"] = 0
        if receipt:
            purse.add(balance=value.amount, record=1)
    elif purse.request is None and purse.exact.get("open") != 0:
        # a request that this trace did not open may have been closed
        purse.lose("open", *(("balance", "record") if receipt else ()))


def _settle(heard: Heard) -> None:
    if not heard.given or (purse := heard.purse) is None:
        return
    _, body = settling(heard)
    known = heard.ledger.transfer(body.payer, body.counter)
    purse.add(unsettled=-1)
    if brings_back(heard):
        purse.add(record=1)
        if known is None:
            purse.lose("balance")
        else:
            purse.add(balance=known.amount)
    kept = heard.ledger.answer(body.payer, body.counter, known or Transfer(b"", 0, None, made=False))
    kept.settled = True


def _get_data(heard: Heard) -> None:
    got, purse = heard.got, heard.purse
    if purse is None:
        return
    if (told := got.get(tags.PARAMETERS)) is not None:
        purse.parameters = told
        purse.currency = heard.ledger.currency = told.currency
    if (told := got.get(tags.CREDIT)) is not None and (used := got.get(tags.CREDIT_USED)) is not None:
        _allow(purse, told.count - used.count, told.amount - used.amount)
    for entry in got.get(tags.UNSETTLED, ()):
        transfer = Transfer(entry.payee, entry.amount, purse.currency, made=False)
        heard.ledger.made(purse.card, entry.counter, transfer)
    if (told := got.get(tags.REFERENCE_DATA)) is not None:
        heard.place.verified = told.verified == 1


def _verified(heard: Heard) -> None:
    heard.place.verified = True


def _initialize_update(heard: Heard) -> None:
    heard.place.level = 0
    if heard.record is not None:
        heard.ledger.keep_challenge(heard.record[0], heard.record[2])


def _external_authenticate(heard: Heard) -> None:
    heard.place.level = heard.header.p1


def _put_key(heard: Heard) -> None:
    """The keys of the channel are gone, and the channel with them."""
    heard.place.level = 0


def _move(heard: Heard, state: LifeCycle) -> None:
    if heard.purse is not None:
        heard.purse.exact["state"] = state
        heard.purse.ended |= state is LifeCycle.TERMINATED


def _generate(heard: Heard) -> None:
    if heard.header.p1 == _MAKE_KEY:
        _move(heard, LifeCycle.PERSONALIZATION)


def _store_data(heard: Heard) -> None:
    if heard.header.p1 & _LAST_BLOCK:
        _move(heard, LifeCycle.ACTIVE)
        heard.place.level = 0
        heard.ledger.challenges.clear()
    else:
        _move(heard, LifeCycle.PERSONALIZATION)


def _allow(purse: Purse, payments: int, amount: int) -> None:
    """So many payments, of so much together, are allowed until renewal."""
    purse.exact["payments_left"], purse.exact["amount_left"] = payments, amount


def _put_credit(heard: Heard) -> None:
    if heard.purse is not None and (credit := heard.given.get(tags.CREDIT)) is not None:
        heard.purse.exact["credit"] = credit.serial
        _allow(heard.purse, credit.count, credit.amount)
        _grow(heard.purse, "credit", credit.serial)


def _edition(heard: Heard) -> None:
    body = heard.given.get(tags.HEAD) or heard.given.get(tags.ORDER)
    if heard.purse is not None and body is not None:
        _grow(heard.purse, "edition", body.edition)


def _lock_out(heard: Heard) -> None:
    _move(heard, LifeCycle.LOCKED_OUT)
    _edition(heard)


def _unlock(heard: Heard) -> None:
    _move(heard, LifeCycle.ACTIVE)
    _edition(heard)


def _put_date(heard: Heard) -> None:
    _edition(heard)


def _terminate(heard: Heard) -> None:
    _move(heard, LifeCycle.TERMINATED)


_STEPS: dict[int, Callable[[Heard], None]] = {
    int(Ins.SELECT): _select,
    int(Ins.VERIFY): _verified,
    int(Ins.CHANGE_REFERENCE_DATA): _verified,
    int(Ins.GET_DATA): _get_data,
    int(Ins.GENERATE_KEY_PAIR): _generate,
    int(Ins.INITIALIZE_UPDATE): _initialize_update,
    int(Ins.EXTERNAL_AUTHENTICATE): _external_authenticate,
    int(Ins.PUT_KEY): _put_key,
    int(Ins.STORE_DATA): _store_data,
    int(Ins.REQUEST): _request,
    int(Ins.PAY): _pay,
    int(Ins.GIVE_AGAIN): _give_again,
    int(Ins.RECEIVE): _receive,
    int(Ins.SETTLE): _settle,
    int(Ins.PUT_CREDIT): _put_credit,
    int(Ins.LOCK_OUT): _lock_out,
    int(Ins.UNLOCK): _unlock,
    int(Ins.PUT_DATE): _put_date,
    int(Ins.TERMINATE): _terminate,
}
