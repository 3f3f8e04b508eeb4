"""What an exchange tells about a card, and what is known after it."""

from collections.abc import Callable

from apdu.commands import Ins
from apdu.identity import AID, CardId, LifeCycle
from apdu.trace import meaning_tags as tags
from apdu.trace.meaning_fields import Fields
from apdu.trace.meaning_heard import Heard, brings_back
from apdu.trace.meaning_memory import Place, Purse, Transfer

__all__ = ["follow", "lost", "recognize", "same_request"]

_LAST_BLOCK, _MAKE_KEY = 0x80, 0x80
# a member of an enumeration takes long to look up
_SELECT, _READ_RECORD, _TERMINATED = Ins.SELECT, Ins.READ_RECORD, LifeCycle.TERMINATED
_PIN_WRONG = 0x63
_BLOCKED = 0x6983


def recognize(heard: Heard) -> None:
    """Note what an answer tells, and the card that an exchange is about: the one that SELECT tells, else the slot's."""
    if heard.accepted and heard.ins in _TELLING:
        heard.exact, heard.grown = _exact_facts(heard), _grown_facts(heard)
    heard.purse = _about(heard, heard.place)


def _about(heard: Heard, place: Place) -> Purse | None:
    if heard.ins == _SELECT:
        return _arrived(heard, place) if tags.STATUS in heard.got else place.purse
    if place.purse is None and heard.got and (card := _named(heard)):
        _sit(purse := heard.ledger.purse(card), place)
        place.purse = purse
        # a trace may begin in the middle: who answers like the purse is the purse
        place.application = AID if place.application is None else place.application
    return place.purse


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


def _exact_facts(heard: Heard) -> dict[str, int]:
    """Facts that hold now, as a card tells them."""
    got = heard.got
    if (status := got.get(tags.STATUS)) is not None:
        return {"state": status.state, "balance": status.balance, "unsettled": status.unsettled}
    if (told := got.get(tags.ATTESTATION)) is not None:
        named = {"state": told.state, "balance": told.balance, "open": told.open, "record": told.record}
        return named | {"counter": told.counter, "requests": told.request, "credit": told.credit}
    if (told := got.get(tags.COUNTERS)) is not None:
        return {"counter": told.payments, "requests": told.requests, "open": told.open, "record": told.record}
    if tags.UNSETTLED in got:
        return {"unsettled": len(got[tags.UNSETTLED])}
    if tags.CREDIT in got:
        return {"credit": got[tags.CREDIT].serial}
    if heard.ins == _READ_RECORD and heard.record is not None and heard.p1 == 1 and heard.p2 >> 3 == 1:
        return {"record": heard.record.number, "balance": heard.record.balance}
    return {}


def _grown_facts(heard: Heard) -> dict[str, int]:
    """Numbers that never go back, as a card tells them."""
    got = heard.got
    if (status := got.get(tags.STATUS)) is not None:
        return {"edition": status.edition}
    if (told := got.get(tags.ATTESTATION)) is not None:
        named = {"counter": told.counter, "requests": told.request, "record": told.record}
        return named | {"credit": told.credit, "edition": told.edition, "date": told.date}
    if (told := got.get(tags.COUNTERS)) is not None:
        named = {"counter": told.payments, "requests": told.requests, "record": told.record}
        return named | {"seen": told.seen, "date": told.date}
    if tags.CREDIT in got:
        return {"credit": got[tags.CREDIT].serial, "seen": got[tags.CREDIT].seen}
    if heard.ins == _READ_RECORD and heard.record is not None and heard.p1 == 1 and heard.p2 >> 3 == 1:
        return {"record": heard.record.number}
    return {}


def same_request(purse: Purse, value: Fields) -> bool:
    """Whether a value answers the request that is open, which this sitting has seen opened."""
    return purse.request == (value.request, value.nonce, value.amount, value.payer)


# --- what is known afterwards ------------------------------------------------------------------------------


def follow(heard: Heard) -> None:
    """Remember what an answered command has changed, and what was told."""
    purse = heard.purse
    if heard.accepted:
        if (step := _STEPS.get(heard.ins)) is not None:
            step(heard)
        if purse is not None and heard.ins in _TELLING:
            purse.exact.update(heard.exact)
            purse.ended |= heard.exact.get("state") == _TERMINATED
            for name, value in heard.grown.items():
                if value > purse.grown.get(name, -1):
                    purse.grown[name] = value
    elif heard.ins in _PIN_COMMANDS and (heard.sw >> 8 == _PIN_WRONG or heard.sw == _BLOCKED):
        heard.place.verified = False


def lost(ins: int, place: Place) -> None:
    """A command was sent and its end was not seen: what it may have changed is not known any more."""
    place.verified = None if ins in _PIN_COMMANDS else place.verified
    if ins in _CHANNEL_COMMANDS:
        place.level = None
    if (purse := place.purse) is not None and ins in _STEPS:
        purse.lose(*_UNSURE.get(ins, ()))
        if ins in (Ins.REQUEST, Ins.RECEIVE):
            purse.request = purse.first_request = None


_UNSURE = {
    int(Ins.REQUEST): ("open", "requests"),
    int(Ins.PAY): ("balance", "unsettled", "counter", "record"),
    int(Ins.RECEIVE): ("balance", "open", "record"),
    int(Ins.SETTLE): ("balance", "unsettled", "record"),
    int(Ins.PUT_CREDIT): ("credit",),
    int(Ins.LOCK_OUT): ("state",),
    int(Ins.UNLOCK): ("state",),
    int(Ins.TERMINATE): ("state",),
    int(Ins.STORE_DATA): ("state",),
    int(Ins.GENERATE_KEY_PAIR): ("state",),
}
"""Which facts each command changes."""
_PIN_COMMANDS = frozenset((Ins.VERIFY, Ins.CHANGE_REFERENCE_DATA))
_CHANNEL_COMMANDS = frozenset((Ins.SELECT, Ins.INITIALIZE_UPDATE, Ins.EXTERNAL_AUTHENTICATE))
_TELLING = frozenset((Ins.SELECT, Ins.GET_DATA, Ins.READ_RECORD, Ins.ATTEST))


def _select(heard: Heard) -> None:
    if heard.place.purse is not heard.purse and heard.purse is not None:
        heard.place.purse = heard.purse
    heard.place.application, heard.place.level, heard.place.verified = heard.data, 0, False


def _request(heard: Heard) -> None:
    request, purse = heard.got.get(tags.REQUEST), heard.purse
    if request is None or purse is None:
        return
    purse.request = request.number, request.nonce, request.amount, heard.given.get(tags.CARD_ID)
    purse.first_request = purse.first_request or request.number
    purse.exact |= {"requests": request.number, "open": 1}
    purse.grown["requests"] = max(request.number, purse.grown.get("requests", 0))
    purse.currency = heard.ledger.currency = request.currency
    heard.ledger.keep_nonce(request.nonce, CardId(purse.card).text if purse.card else "a card")


def _pay(heard: Heard) -> None:
    value, purse = heard.got.get(tags.VALUE), heard.purse
    if value is None or purse is None:
        return
    purse.add("balance", -value.amount)
    purse.add("unsettled", 1)
    purse.add("record", 1)
    purse.exact["counter"] = value.counter
    purse.grown["counter"] = max(value.counter, purse.grown.get("counter", 0))
    purse.currency = heard.ledger.currency = value.currency
    heard.ledger.made(value.payer, value.counter, Transfer(value.payee, value.amount, value.currency, made=True))


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
            purse.add("balance", value.amount)
            purse.add("record", 1)
    elif purse.request is None and purse.exact.get("open") != 0:
        # a request that this trace did not open may have been closed
        purse.lose("open", *(("balance", "record") if receipt else ()))


def _settle(heard: Heard) -> None:
    if not heard.given or (purse := heard.purse) is None:
        return
    body = next(iter(heard.given.values()))
    known = heard.ledger.transfer(body.payer, body.counter)
    purse.add("unsettled", -1)
    if brings_back(heard):
        purse.add("record", 1)
        if known is None:
            purse.lose("balance")
        else:
            purse.add("balance", known.amount)
    kept = heard.ledger.answer(body.payer, body.counter, known or Transfer(b"", 0, None, made=False))
    kept.settled = True


def _get_data(heard: Heard) -> None:
    got, purse = heard.got, heard.purse
    if purse is None:
        return
    if (told := got.get(tags.PARAMETERS)) is not None:
        purse.parameters = told
        purse.currency = heard.ledger.currency = told.currency
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
    heard.place.level = heard.p1


def _move(heard: Heard, state: LifeCycle) -> None:
    if heard.purse is not None:
        heard.purse.exact["state"] = state
        heard.purse.ended |= state is LifeCycle.TERMINATED


def _generate(heard: Heard) -> None:
    if heard.p1 == _MAKE_KEY:
        _move(heard, LifeCycle.PERSONALIZATION)


def _store_data(heard: Heard) -> None:
    if heard.p1 & _LAST_BLOCK:
        _move(heard, LifeCycle.ACTIVE)
        heard.place.level = 0
        heard.ledger.challenges.clear()
    else:
        _move(heard, LifeCycle.PERSONALIZATION)


def _put_credit(heard: Heard) -> None:
    if heard.purse is not None and (credit := heard.given.get(tags.CREDIT)) is not None:
        heard.purse.exact["credit"] = credit.serial
        heard.purse.grown["credit"] = max(credit.serial, heard.purse.grown.get("credit", 0))


def _edition(heard: Heard) -> None:
    body = heard.given.get(tags.HEAD) or heard.given.get(tags.ORDER)
    if heard.purse is not None and body is not None:
        heard.purse.grown["edition"] = max(body.edition, heard.purse.grown.get("edition", 0))


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
    Ins.SELECT: _select,
    Ins.VERIFY: _verified,
    Ins.CHANGE_REFERENCE_DATA: _verified,
    Ins.GET_DATA: _get_data,
    Ins.GENERATE_KEY_PAIR: _generate,
    Ins.INITIALIZE_UPDATE: _initialize_update,
    Ins.EXTERNAL_AUTHENTICATE: _external_authenticate,
    Ins.STORE_DATA: _store_data,
    Ins.REQUEST: _request,
    Ins.PAY: _pay,
    Ins.GIVE_AGAIN: _give_again,
    Ins.RECEIVE: _receive,
    Ins.SETTLE: _settle,
    Ins.PUT_CREDIT: _put_credit,
    Ins.LOCK_OUT: _lock_out,
    Ins.UNLOCK: _unlock,
    Ins.PUT_DATE: _put_date,
    Ins.TERMINATE: _terminate,
}
