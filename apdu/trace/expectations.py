"""What a card or terminal that works would not have done: one small rule for each kind of surprise.

A rule looks at one exchange and at what is remembered from before it, and returns what is wrong in words, or nothing.
It keeps silent where the trace does not show enough: a trace may begin in the middle, and between two resets a card
may have been anywhere.
"""

from collections.abc import Callable
from operator import attrgetter

from apdu.commands import ANY_STATE, BY_INS, GENERAL_STATUS, Command, Ins, Security
from apdu.identity import LifeCycle
from apdu.payload import Tag
from apdu.status import StatusWord
from apdu.trace import expectations_commands as of
from apdu.trace import meaning_tags as tags
from apdu.trace.meaning_fields import Fields
from apdu.trace.meaning_heard import GIVES_BYTES, Heard
from apdu.trace.meaning_memory import Ledger, Place
from apdu.trace.meaning_words import amount_text, card_text, money, state_text

__all__ = [
    "ANNOUNCED",
    "NO_ANSWER",
    "PURSE_INS",
    "RULES",
    "Rule",
    "left_open",
    "not_fetched",
    "nothing_to_fetch",
    "surprises",
]

Rule = Callable[[Heard], str]
"""Returns what is unexpected, or the empty text."""

ANNOUNCED = 0x61
"""First byte of the status word that announces bytes for GET RESPONSE (ISO 7816-4 5.6)."""
NO_ANSWER = "no answer came"

PURSE_INS = frozenset(int(row.ins) for row in BY_INS.values() if not row.clause.startswith(("ISO", "GP")))
"""Instructions that are the purse's own: whoever accepts one is a purse."""
_PIN = frozenset((Ins.VERIFY, Ins.CHANGE_REFERENCE_DATA, Ins.RESET_RETRY_COUNTER))
_TERMINATED, _CHANNEL, _OK = int(LifeCycle.TERMINATED), Security.SECURE_CHANNEL, 0x9000
_WARNINGS = (0x61, 0x62, 0x63, 0x90)


def _words(row: Command) -> frozenset[int]:
    """The status words that the command table lists for a row."""
    words = {int(word) for word in (*GENERAL_STATUS, *row.status)}
    words |= {word << 8 | low for word in (0x61, 0x6C) for low in range(256)}
    if row.ins in _PIN:
        words |= set(range(0x63C0, 0x63D0))
    if LifeCycle.ACTIVE in row.states and LifeCycle.LOCKED_OUT not in row.states:
        words.add(int(StatusWord.LOCKED_OUT))
    return frozenset(words)


_STATES = {int(row.ins): frozenset(map(int, row.states)) for row in BY_INS.values()}
_LISTED = {int(row.ins): _words(row) for row in BY_INS.values()}

# --- of any answer -----------------------------------------------------------------------------------------


def unlisted_status(heard: Heard) -> str:
    """The command table does not list this word for the command."""
    if heard.sw in _LISTED[heard.ins]:
        return ""
    return f"the command table lists no {heard.sw:04X} for {heard.row.name}"


def data_with_error(heard: Heard) -> str:
    """An error comes alone."""
    if not heard.answer or heard.sw >> 8 in _WARNINGS:
        return ""
    return f"{len(heard.answer)} bytes came with the error {heard.sw:04X}"


# --- of an accepted command --------------------------------------------------------------------------------


def flawed_answer(heard: Heard) -> str:
    """Objects are missing from the answer, or do not decode."""
    return f"the answer is not what {heard.row.name} answers: {heard.flaw}" if heard.flaw else ""


def unasked_data(heard: Heard) -> str:
    """Data came where the command table gives none."""
    if not heard.answer or heard.ins in GIVES_BYTES:
        return ""
    return f"{len(heard.answer)} bytes came, and {heard.row.name} answers with none"


def accepted_header(heard: Heard) -> str:
    """P1, P2 or Lc are not those that the command table lets pass."""
    header = heard.header
    if header.passes and (len(heard.data) in header.row.lc or heard.opaque):
        return ""
    return f"accepted with P1 P2 {header.number:04X} and {len(heard.data)} bytes, which {header.row.name} does not take"


def accepted_nonsense(heard: Heard) -> str:
    """Data that do not parse were accepted."""
    return f"accepted, and the command's data do not parse: {heard.wrong}" if heard.wrong else ""


def wrong_state(heard: Heard) -> str:
    """Accepted in a life-cycle state that the command table does not list for the command."""
    if heard.purse is None or (state := heard.purse.exact.get("state")) is None or state in _STATES[heard.ins]:
        return ""
    return f"accepted, though the card is {state_text(state)}"


def not_selected(heard: Heard) -> str:
    """A purse command was accepted after a reset and before SELECT."""
    return "accepted before the purse was selected" if heard.place.application == b"" else ""


def without_channel(heard: Heard) -> str:
    """Personalization was accepted without a secure channel."""
    return "" if heard.secured else f"{heard.row.name} was accepted without a secure channel"


_FACT_NAMES = {
    "state": "state",
    "balance": "balance",
    "unsettled": "number of unsettled transfers",
    "counter": "payment counter",
    "requests": "request number",
    "open": "mark of an open request",
    "record": "number of history records",
    "seen": "number of records seen",
    "credit": "credit serial",
    "edition": "edition",
    "date": "date",
    "without_pin": "sum paid without the PIN",
}
_AMOUNTS = ("balance", "without_pin")


def _fact(heard: Heard, name: str, value: int) -> str:
    if name == "state":
        return state_text(value)
    return money(heard, value) if name in _AMOUNTS else str(value)


def state_moved(heard: Heard) -> str:
    """The card is in a state that no command seen has brought it to: the life cycle has no such way."""
    if heard.purse is None or (state := heard.exact.get("state")) is None:
        return ""
    before = heard.purse.exact.get("state")
    if heard.purse.ended and state != _TERMINATED:
        return f"the card is {state_text(state)}, and was terminated"
    if before is None or before == state:
        return ""
    return f"the card is {state_text(state)}, and was {state_text(before)}: no command seen has moved it"


def does_not_follow(heard: Heard) -> str:
    """Balance, counters and so on are not what the payments seen make of those told before."""
    if heard.purse is None or not (exact := heard.purse.exact):
        return ""
    for name, value in heard.exact.items():
        if exact.get(name, value) != value and name != "state":
            told, due = _fact(heard, name, value), _fact(heard, name, exact[name])
            return f"the {_FACT_NAMES[name]} is {told}, and by what was seen it is {due}"
    return ""


def goes_back(heard: Heard) -> str:
    """A counter, an edition or a date is lower than the card told before, in this sitting or an earlier one."""
    if heard.purse is None or not (grown := heard.purse.grown):
        return ""
    for name, value in heard.grown.items():
        if value < grown.get(name, 0):
            return f"the {_FACT_NAMES[name]} goes back from {grown[name]} to {value}"
    return ""


_CLAIMS: dict[Tag, Callable[[Fields], bytes]] = {
    tags.CARD_ID: bytes,
    tags.CERTIFICATE: attrgetter("subject"),
    tags.VALUE: attrgetter("payer"),
    tags.RECEIPT: attrgetter("payee"),
    tags.REFUSAL: attrgetter("payee"),
    tags.ATTESTATION: attrgetter("card"),
    tags.PARAMETERS: attrgetter("card"),
    tags.CREDIT: attrgetter("card"),
}
"""The card that an object names as the one that gives it."""


def other_card(heard: Heard) -> str:
    """An answer speaks for another card than was selected."""
    if heard.purse is None or not (card := heard.purse.card):
        return ""
    for tag, body in heard.got.items():
        if tag in _CLAIMS and (claimed := _CLAIMS[tag](body)) != card:
            return f"the answer is of card {card_text(claimed)}, and {card_text(card)} was selected"
    return ""


def card_changed(heard: Heard) -> str:
    """Another card answers SELECT than before, without a reset."""
    before, now = heard.place.purse, heard.purse
    if before is None or now is None or not heard.place.resets or before.card == now.card:
        return ""
    if not before.card and before.exact.get("state") in (None, LifeCycle.ACTIVE):
        return ""
    names = [card_text(each.card) if each.card else "a card without an ID" for each in (before, now)]
    return f"{names[1]} answers, and it was {names[0]}: the card was not reset"


# --- which rules look at what ------------------------------------------------------------------------------

_ANY = (unlisted_status, data_with_error)
_ACCEPTED = (accepted_header, wrong_state, not_selected, without_channel)
_READABLE = (flawed_answer, accepted_nonsense, unasked_data)
_TOLD = (state_moved, does_not_follow, goes_back)
_OF: dict[int, tuple[Rule, ...]] = {
    int(Ins.SELECT): (card_changed, *_TOLD),
    int(Ins.GET_DATA): (other_card, *_TOLD),
    int(Ins.READ_RECORD): _TOLD,
    int(Ins.ATTEST): (other_card, *_TOLD, of.other_challenge),
    int(Ins.REQUEST): (other_card, of.other_request, of.request_number_repeats, of.nonce_repeats),
    int(Ins.PAY): (other_card, of.other_value, of.payment_counter_repeats, of.paid_without_pin, of.paid_too_much),
    int(Ins.GIVE_AGAIN): (other_card, of.other_counter),
    int(Ins.RECEIVE): (other_card, of.other_receipt, of.receipt_and_refusal, of.receipt_without_request),
    int(Ins.SETTLE): (of.nothing_to_settle, of.settled_for_another),
    int(Ins.PUT_CREDIT): (of.older_accepted,),
    int(Ins.LOCK_OUT): (of.older_accepted,),
    int(Ins.UNLOCK): (of.older_accepted,),
    int(Ins.PUT_DATE): (of.older_accepted,),
    int(Ins.INITIALIZE_UPDATE): (of.challenge_repeats,),
}
"""Rules that need objects of the command or the answer; they are asked only where these parse."""
RULES: tuple[Rule, ...] = tuple(dict.fromkeys((*_ANY, *_ACCEPTED, *_READABLE, *(r for rs in _OF.values() for r in rs))))
"""Every rule about one exchange."""


def _accepted(row: Command) -> tuple[Rule, ...]:
    """Rules about the header of an accepted command."""
    alive = () if row.states == ANY_STATE else (wrong_state,)
    own = (not_selected,) if row.ins in PURSE_INS else ()
    return accepted_header, *alive, *own, *((without_channel,) if row.security is _CHANNEL else ())


def _full(row: Command) -> tuple[Rule, ...]:
    """Rules about an accepted command all of which can be read."""
    return *_accepted(row), *(() if row.ins in GIVES_BYTES else (unasked_data,)), *_OF.get(row.ins, ())


_SEALED = {int(row.ins): _accepted(row) for row in BY_INS.values()}
_FULL = {int(row.ins): _full(row) for row in BY_INS.values()}


def surprises(heard: Heard) -> tuple[str, ...]:
    """All that is unexpected in one exchange."""
    rules: tuple[Rule, ...] = _ANY
    if heard.accepted:
        rules = _FULL[heard.ins] if heard.clear else _SEALED[heard.ins] + (() if heard.opaque else _READABLE)
        if heard.sw != _OK:
            rules = _ANY + rules
    found: tuple[str, ...] = ()
    for rule in rules:
        if text := rule(heard):
            found = (*found, text)
    return found


# --- of what is half said ----------------------------------------------------------------------------------


def nothing_to_fetch(place: Place) -> str:
    """GET RESPONSE came though no answer was held."""
    return "nothing was announced that could be fetched" if place.waiting is None and not place.fresh else ""


def not_fetched(place: Place) -> str:
    """An answer was announced by 61xx and never fetched."""
    if place.waiting is None or place.waiting.word != ANNOUNCED:
        return ""
    header = place.waiting.command[:4]
    row = BY_INS.get(header[1]) if place.ours else None
    name = row.name if row is not None else f"command {header.hex().upper()}"
    return f"the answer of {name} was not fetched to its end"


def left_open(ledger: Ledger) -> list[str]:
    """Values that nobody has answered."""
    found = [
        f"no receipt, refusal or settlement for the value with counter {counter} of {card_text(payer)}: "
        f"{amount_text(value.amount, value.currency)} for {card_text(value.payee)}"
        for (payer, counter), value in ledger.open.items()
        if value.made
    ]
    if ledger.forgotten:
        found.append(f"{ledger.forgotten} older values had no answer either when they were forgotten")
    return found
