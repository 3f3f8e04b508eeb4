"""The purse's answers in words, one short phrase each."""

from collections.abc import Callable

from apdu.commands import Ins
from apdu.counting import counted
from apdu.identity import Role
from apdu.objects import NO_PIN_SUM, Kind
from apdu.payload import Tag
from apdu.trace import meaning_tags as tags
from apdu.trace.meaning_commands import credit_text, head_text
from apdu.trace.meaning_fields import Fields
from apdu.trace.meaning_heard import Heard, brings_back, settling
from apdu.trace.meaning_words import (
    amount_text,
    card_text,
    date_text,
    day_text,
    first_texts,
    hex_text,
    money,
    state_text,
)

__all__ = ["SAID"]

_LAST_BLOCK = 0x80
_MOST_TOLD = 8
"""Unsettled transfers that are told one by one."""
_KINDS = {
    int(Kind.PAID): "paid {} to {}",
    int(Kind.RECEIVED): "received {} from {}",
    int(Kind.REFUNDED): "refunded {}, not for {}",
}
_ROLES = {int(role): role.name.lower() for role in Role}


def _value(value: Fields) -> str:
    return f"{amount_text(value.amount, value.currency)} for request {value.request} of {card_text(value.payee)}"


def _status(heard: Heard, told: Fields) -> str:
    state, unsettled, balance, edition = told
    card = heard.got.get(tags.CARD_ID)
    who = f"card {card_text(card)}" if card else "card without an ID"
    waiting = f", {unsettled} unsettled" if unsettled else ""
    return f"{who}, {state_text(state)}, {money(heard, balance)}{waiting}, edition {edition}"


def _selected(heard: Heard) -> str:
    status = heard.got.get(tags.STATUS)
    return _status(heard, status) if status is not None else ""


def _requested(heard: Heard) -> str:
    return f"request {heard.got[tags.REQUEST].number} of {card_text(heard.got[tags.CERTIFICATE].subject)}"


def _paid(heard: Heard) -> str:
    value = heard.got[tags.VALUE]
    return f"value with counter {value.counter} of {card_text(value.payer)}"


def _given_again(heard: Heard) -> str:
    return f"{_paid(heard)}, {_value(heard.got[tags.VALUE])}"


def _received(heard: Heard) -> str:
    got = heard.got
    word, body = ("receipt", got[tags.RECEIPT]) if tags.RECEIPT in got else ("refusal", got[tags.REFUSAL])
    return f"{word} for counter {body.counter} of {card_text(body.payer)}"


def _settled(heard: Heard) -> str:
    if not brings_back(heard):
        return "settled"
    body = settling(heard)[1]
    known = heard.ledger.transfer(body.payer, body.counter)
    return f"{money(heard, known.amount)} back" if known is not None and known.payee else "the money is back"


def _record(heard: Heard) -> str:
    record = heard.record
    moved = _KINDS[record.kind].format(money(heard, record.amount), card_text(record.other))
    numbers = f"counter {record.counter}, request {record.request}"
    then = f"balance {money(heard, record.balance)}, {date_text(record.date)}"
    return f"record {record.number}, {moved}, {numbers}, {then}"


def _chip(heard: Heard) -> str:
    chip, version, challenge, sequence = heard.record
    return f"chip {hex_text(chip)}, key version {version}, sequence {sequence}, card challenge {hex_text(challenge)}"


def _public_key(heard: Heard) -> str:
    return f"public key {hex_text(heard.record)}"


def _opened(heard: Heard) -> str:
    return f"secure channel open at level {heard.header.p1:02X}"


def _verified(heard: Heard) -> str:
    return "verified" if heard.data else "the PIN is verified"


def _attested(heard: Heard) -> str:
    told = heard.got[tags.ATTESTATION]
    open_request = ", open" if told.open else ""
    return (
        f"card {card_text(told.card)}, {state_text(told.state)}, {money(heard, told.balance)}, counter {told.counter}, "
        f"request {told.request}{open_request}, record {told.record}, edition {told.edition}, {date_text(told.date)}"
    )


def _data_object(heard: Heard) -> str:
    for tag, told in heard.got.items():
        if tag in _OBJECTS:
            return _OBJECTS[tag](heard, told)
    return ""


def _parameters(told: Fields) -> str:
    def _amount(value: int) -> str:
        return amount_text(value, told.currency)

    holds = f"holds to {_amount(told.balance_max)}, moves to {_amount(told.transfer_max)}"
    in_all = "" if told.pin_sum == NO_PIN_SUM else f" or {_amount(told.pin_sum)} in all"
    return f"{card_text(told.card)}, {_ROLES[told.role]}, {holds}, PIN above {_amount(told.pin_above)}{in_all}"


def _counters(heard: Heard, told: Fields) -> str:
    request = counted(told.requests, "request") + (", the last is open" if told.open else "")
    records = f"{counted(told.record, 'record')}, {told.seen} seen"
    since = f"{money(heard, told.without_pin)} without PIN"
    return f"{counted(told.payments, 'payment')}, {request}, {records}, {date_text(told.date)}, {since}"


def _certificate(told: Fields) -> str:
    return f"{card_text(told.subject)}, {_ROLES[told.role]}, until {day_text(told.expiry)}"


def _used(heard: Heard, told: Fields) -> str:
    used = heard.got[tags.CREDIT_USED]
    return f"{credit_text(heard, told)}; used {counted(used.count, 'payment')}, {money(heard, used.amount)}"


def _unsettled(heard: Heard, told: Fields) -> str:
    entries = [
        f"counter {each.counter}, {money(heard, each.amount)} for {card_text(each.payee)}" for each in told[:_MOST_TOLD]
    ]
    return first_texts(entries, len(told), "; ") or "none"


def _capacities(told: Fields) -> str:
    room = f"{told.history} records, {told.unsettled} unsettled transfers, {told.chain} bytes a command"
    return f"version {told.version}, {room}"


def _reference_data(told: Fields) -> str:
    verified = ", verified" if told.verified else ""
    return f"tries left: PIN {told.pin_tries}{verified}, resetting code {told.puk_tries}"


_OBJECTS: dict[Tag, Callable[[Heard, Fields], str]] = {
    tags.STATUS: _status,
    tags.PARAMETERS: lambda _, told: _parameters(told),
    tags.COUNTERS: _counters,
    tags.CERTIFICATE: lambda _, told: _certificate(told),
    tags.CREDIT: _used,
    tags.HEAD: lambda _, told: head_text(told),
    tags.UNSETTLED: _unsettled,
    tags.CAPACITIES: lambda _, told: _capacities(told),
    tags.REFERENCE_DATA: lambda _, told: _reference_data(told),
}
SAID: dict[int, Callable[[Heard], str]] = {
    int(Ins.SELECT): _selected,
    int(Ins.VERIFY): _verified,
    int(Ins.GET_RESPONSE): lambda _: "",
    int(Ins.GET_DATA): _data_object,
    int(Ins.READ_RECORD): _record,
    int(Ins.GENERATE_KEY_PAIR): _public_key,
    int(Ins.INITIALIZE_UPDATE): _chip,
    int(Ins.EXTERNAL_AUTHENTICATE): _opened,
    int(Ins.REQUEST): _requested,
    int(Ins.PAY): _paid,
    int(Ins.GIVE_AGAIN): _given_again,
    int(Ins.RECEIVE): _received,
    int(Ins.SETTLE): _settled,
    int(Ins.ATTEST): _attested,
    int(Ins.PUT_KEY): lambda heard: f"key version {heard.record}; the channel is gone",
    int(Ins.STORE_DATA): lambda heard: "the purse is active" if heard.header.p1 & _LAST_BLOCK else "stored",
    int(Ins.CHANGE_REFERENCE_DATA): lambda _: "new PIN, verified",
    int(Ins.RESET_RETRY_COUNTER): lambda _: "new PIN, with all its tries",
    int(Ins.PUT_CREDIT): lambda _: "stored",
    int(Ins.LOCK_OUT): lambda _: "locked out",
    int(Ins.UNLOCK): lambda _: "active again",
    int(Ins.PUT_DATE): lambda _: "kept",
    int(Ins.TERMINATE): lambda _: "terminated for ever",
}
"""By instruction, for an accepted command whose answer parses."""
