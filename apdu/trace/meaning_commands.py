"""The purse's commands in words, one short phrase each."""

from collections.abc import Callable
from functools import lru_cache

from apdu.commands import DATA_OBJECTS, RECORDS_PER_FILE, SECURITY_LEVELS, Ins
from apdu.counting import counted
from apdu.dgi import Dgi
from apdu.identity import AID
from apdu.messages import Outcome
from apdu.trace import meaning_tags as tags
from apdu.trace.applications import find_application
from apdu.trace.meaning_fields import Fields, dgis
from apdu.trace.meaning_heard import Heard, settling
from apdu.trace.meaning_words import (
    amount_text,
    card_text,
    date_text,
    day_text,
    first_texts,
    hex_text,
    money,
)

__all__ = ["SENT", "application_text", "credit_text", "file_text", "head_text", "sealed"]

_LAST_BLOCK, _DEK, _MAKE_KEY, _READ_KEY = 0x80, 0x60, 0x80, 0x81
_LONGEST_AID, _MOST_NAMED, _FILES = 16, 8, 5
_DATA_NAMES = {row.number: row.name for row in DATA_OBJECTS}
_DGI_NAMES = {
    Dgi.PARAMETERS: "parameters",
    Dgi.CENTER_KEY: "center key",
    Dgi.CERTIFICATE: "certificate",
    Dgi.CREDIT: "credit",
    Dgi.REFERENCE_DATA: "PIN and resetting code",
}


def application_text(aid: bytes) -> str:
    """Whose application an AID names; ours is the purse. A name has 16 bytes at most (ISO 7816-4 12.2.3)."""
    if len(aid) <= _LONGEST_AID:
        return _application(aid)
    return f"{_application(aid[:_LONGEST_AID])}… ({len(aid)} bytes)"


@lru_cache(256)
def _application(aid: bytes) -> str:
    if aid == AID:
        return "the purse"
    found = find_application(aid)
    return f"{found.name}, {aid.hex().upper()}" if found is not None else f"application {aid.hex().upper()}"


def file_text(file: int) -> str:
    """The file of a short identifier; 0 is the one that is selected (ISO 7816-4 11.4.2)."""
    return f"file {file}" if file else "the current file"


def sealed(heard: Heard) -> str:
    """A command whose data are encrypted: what its header says."""
    if heard.ins == Ins.STORE_DATA:
        return f"{_block(heard)}, {counted(len(heard.data), 'byte')} secured"
    if heard.ins == Ins.GENERATE_KEY_PAIR:
        return _generate(heard)
    if heard.ins == Ins.PUT_KEY:
        return f"{_put_key(heard)}, {counted(len(heard.data), 'byte')} secured"
    return f"{counted(len(heard.data), 'byte')} secured"


def _select(heard: Heard) -> str:
    return application_text(heard.data) + (", without FCI" if heard.header.p2 == 0x0C else "")


def _verify(heard: Heard) -> str:
    return "PIN" if heard.data else "is the PIN verified?"


def _change(heard: Heard) -> str:
    return "old PIN, new PIN" if heard.data else "no data"


def _unblock(heard: Heard) -> str:
    return "resetting code, new PIN" if heard.data else "no data"


def _generate(heard: Heard) -> str:
    p1 = heard.header.p1
    return {_MAKE_KEY: "make a new pair", _READ_KEY: "read the public key"}.get(
        p1, f"P1 {p1:02X}, neither make nor read"
    )


def _put_key(heard: Heard) -> str:
    """The header alone: what the keys are is nobody's affair."""
    old = heard.header.p1
    return f"in the place of key version {old}" if old else "in the place of the maker's keys"


def _read_record(heard: Heard) -> str:
    number, file = heard.header.p1, heard.header.p2 >> 3
    if not heard.header.passes:
        return f"record {number} of " + (f"file {file}, which no purse has" if file > _FILES else file_text(file))
    age = (file - 1) * RECORDS_PER_FILE + number - 1
    return "the newest record" if not age else f"the record {age} before the newest"


def _get_data(heard: Heard) -> str:
    return _DATA_NAMES.get(heard.header.number, f"object {heard.header.number:04X}")


def _initialize_update(heard: Heard) -> str:
    version = f"key version {heard.header.p1}" if heard.header.p1 else "any key version"
    return f"{version}, host challenge {hex_text(heard.data)}"


_LEVEL_TEXT = ((0x01, "C-MAC"), (0x02, "C-ENC"), (0x10, "R-MAC"), (0x20, "R-ENC"))


def _external_authenticate(heard: Heard) -> str:
    level = heard.header.p1
    if level not in (0, *SECURITY_LEVELS):
        return f"level {level:02X}: no such level"
    return f"level {level:02X}: {', '.join(text for bit, text in _LEVEL_TEXT if level & bit) or 'none'}"


def _block(heard: Heard) -> str:
    return f"block {heard.header.p2}" + (" (last block)" if heard.header.p1 & _LAST_BLOCK else "")


def _store_data(heard: Heard) -> str:
    names = first_texts([_DGI_NAMES[number] for number in dgis(heard.data)[:_MOST_NAMED]], len(dgis(heard.data)))
    encrypted = ", encrypted" if heard.header.p1 & _DEK else ""
    last = " (last block)" if heard.header.p1 & _LAST_BLOCK else ""
    return f"block {heard.header.p2}: {names or 'no group'}{encrypted}{last}"


def _request(heard: Heard) -> str:
    amount, answer = heard.given[tags.AMOUNT], heard.got.get(tags.REQUEST)
    text = money(heard, amount) if answer is None else amount_text(amount, answer.currency)
    return f"{text} from {card_text(heard.given[tags.CARD_ID])}"


def _pay(heard: Heard) -> str:
    request, payee = heard.given[tags.REQUEST], heard.given[tags.CERTIFICATE].subject
    return f"request {request.number} of {card_text(payee)}, {amount_text(request.amount, request.currency)}"


def _receive(heard: Heard) -> str:
    value = heard.given[tags.VALUE]
    amount = amount_text(value.amount, value.currency)
    return f"value with counter {value.counter} of {card_text(value.payer)}, {amount} for request {value.request}"


def _settle(heard: Heard) -> str:
    tag, body = settling(heard)
    if tag is tags.RESOLUTION:
        found = "received" if body.outcome == Outcome.RECEIVED else "never received"
        return f"resolution for counter {body.counter}: {found}"
    word = "receipt" if tag is tags.RECEIPT else "refusal"
    return f"{word} for counter {body.counter}, of {card_text(body.payee)}"


def _give_again(heard: Heard) -> str:
    return f"value with counter {heard.given[tags.COUNTER]}"


def credit_text(heard: Heard, credit: Fields) -> str:
    """Credit information in words."""
    most = f"{counted(credit.count, 'payment')}, {money(heard, credit.amount)}"
    return f"serial {credit.serial}, until {day_text(credit.expiry)}, {most}, records seen to {credit.seen}"


def _put_credit(heard: Heard) -> str:
    return credit_text(heard, heard.given[tags.CREDIT])


def _attest(heard: Heard) -> str:
    return f"challenge {hex_text(heard.given[tags.CHALLENGE])}"


def head_text(head: Fields) -> str:
    """The head of an edition in words."""
    return f"edition {head.edition} of {date_text(head.time)}, {counted(head.count, 'card')} listed"


def _lock_out(heard: Heard) -> str:
    proof = heard.given[tags.PROOF]
    return f"{head_text(heard.given[tags.HEAD])}, proof with {counted(len(proof.siblings), 'fork')}"


def _put_date(heard: Heard) -> str:
    return head_text(heard.given[tags.HEAD])


def _unlock(heard: Heard) -> str:
    order = heard.given[tags.ORDER]
    return f"{card_text(order.card)}, believes edition {order.edition} and later"


def _terminate(heard: Heard) -> str:
    order = heard.given[tags.ORDER]
    return f"{card_text(order.card)}, until {date_text(order.expiry)}"


SENT: dict[int, Callable[[Heard], str]] = {
    int(Ins.SELECT): _select,
    int(Ins.VERIFY): _verify,
    int(Ins.CHANGE_REFERENCE_DATA): _change,
    int(Ins.RESET_RETRY_COUNTER): _unblock,
    int(Ins.READ_RECORD): _read_record,
    int(Ins.GET_RESPONSE): lambda _: "the rest",
    int(Ins.GET_DATA): _get_data,
    int(Ins.GENERATE_KEY_PAIR): _generate,
    int(Ins.INITIALIZE_UPDATE): _initialize_update,
    int(Ins.EXTERNAL_AUTHENTICATE): _external_authenticate,
    int(Ins.PUT_KEY): _put_key,
    int(Ins.STORE_DATA): _store_data,
    int(Ins.REQUEST): _request,
    int(Ins.PAY): _pay,
    int(Ins.RECEIVE): _receive,
    int(Ins.SETTLE): _settle,
    int(Ins.GIVE_AGAIN): _give_again,
    int(Ins.PUT_CREDIT): _put_credit,
    int(Ins.ATTEST): _attest,
    int(Ins.LOCK_OUT): _lock_out,
    int(Ins.UNLOCK): _unlock,
    int(Ins.PUT_DATE): _put_date,
    int(Ins.TERMINATE): _terminate,
}
"""By instruction, for a command whose data parse."""
