"""Why a card has declined, as far as the trace shows it."""

from collections.abc import Callable

from apdu.commands import Ins
from apdu.status import StatusWord as W
from apdu.status import status_text
from apdu.trace import meaning_tags as tags
from apdu.trace.meaning_fields import Fields
from apdu.trace.meaning_heard import Heard, settling
from apdu.trace.meaning_words import amount_text, card_text, date_text, money, second_text, state_text

__all__ = ["reason", "word_text"]

_LAST_BLOCK, _ISSUER = 0x80, 2
_OFFERS = (Ins.REQUEST, Ins.PAY)
"""Commands that name the other party."""


def word_text(heard: Heard) -> str:
    """The meaning of the status word; of a word that means less in general, what it means for this command."""
    if heard.sw == W.CONDITIONS_OF_USE:
        return "conditions of use not satisfied"
    if heard.sw == W.NOT_THIS_CARD and heard.ins in _OFFERS:
        return "the other party is not another card of this issuer"
    return status_text(heard.sw)


def reason(heard: Heard) -> str:
    """What this trace shows of the reason for a status word; empty: nothing."""
    if heard.sw == W.CONDITIONS_OF_USE:
        # it comes before anything in the data is looked at
        return _conditions(heard)
    found = _REASONS.get(heard.sw)
    return found(heard) if found is not None and not heard.opaque and not heard.wrong else ""


def _amount(heard: Heard) -> int | None:
    """The amount that a command asks to move."""
    request = heard.given.get(tags.REQUEST)
    amount = request.amount if request is not None else heard.given.get(tags.AMOUNT)
    return amount if isinstance(amount, int) else None


def _limit(heard: Heard, name: str) -> int | None:
    parameters = heard.purse.parameters if heard.purse is not None else None
    return getattr(parameters, name) if parameters is not None else None


def _money(heard: Heard) -> str:
    amount = _amount(heard)
    balance = heard.purse.exact.get("balance") if heard.purse is not None else None
    if amount is None:
        return ""
    there = f", {money(heard, balance)} there" if balance is not None else ""
    return f"{money(heard, amount)} wanted{there}"


def _room(heard: Heard) -> str:
    most = _limit(heard, "balance_max")
    return _money(heard) + (f", {money(heard, most)} at most" if most is not None else "")


def _transfer(heard: Heard) -> str:
    amount, most = _amount(heard), _limit(heard, "transfer_max")
    if amount is None:
        return ""
    return f"{money(heard, amount)}" + (f", {money(heard, most)} at most" if most is not None else "")


def _security(heard: Heard) -> str:
    amount = _amount(heard)
    if heard.ins == Ins.PAY and amount is not None:
        return f"the PIN is wanted for {money(heard, amount)}" + _pin_bound(heard, amount)
    return "no secure channel" if heard.row.security == 1 and not heard.secured else ""


def _pin_bound(heard: Heard, amount: int) -> str:
    """The bound that a payment without the PIN would pass, where it is known: that of one, or that of all of them."""
    above, most = _limit(heard, "pin_above"), _limit(heard, "pin_sum")
    paid = heard.purse.exact.get("without_pin") if heard.purse is not None else None
    if above is not None and amount > above:
        return f": it is above {money(heard, above)}"
    if most is None or paid is None or paid + amount <= most:
        return ""
    return f": {money(heard, paid)} were paid without it, {money(heard, most)} may be in all"


def _conditions(heard: Heard) -> str:
    if heard.place.application == b"":
        return "nothing is selected"
    state, doubt = heard.purse.exact.get("state") if heard.purse is not None else None, _doubt(heard)
    if state is not None:
        return doubt if state in heard.row.states else f"the card is {state_text(state)}"
    return ", or ".join(filter(None, (doubt, "not selected", "not in this life-cycle state")))


def _doubt(heard: Heard) -> str:
    """What a command wants beside selection and state (protocol.md, the checks of each command)."""
    if heard.ins == Ins.STORE_DATA:
        return "something is missing" if heard.header.p1 & _LAST_BLOCK else ""
    if heard.ins == Ins.EXTERNAL_AUTHENTICATE:
        return "the channel is open already" if heard.place.level else "no INITIALIZE UPDATE came before"
    if heard.ins == Ins.GET_DATA:
        return "this object may not be read in this state"
    return "history, chain and balance disagree" if heard.ins in _OFFERS else ""


def _allowance(heard: Heard) -> str:
    """The number or the amount of payments that the credit information leaves, where it is known."""
    amount, exact = _amount(heard), heard.purse.exact if heard.purse is not None else {}
    if "payments_left" not in exact or amount is None:
        return ""
    if exact["payments_left"] < 1:
        return "no payment is left"
    left = exact["amount_left"]
    return f"{money(heard, amount)} wanted, {money(heard, left)} left" if amount > left else ""


def _expired(heard: Heard) -> str:
    date, certificate = heard.given.get(tags.DATE), heard.given.get(tags.CERTIFICATE)
    if certificate is None:
        return f"on {date_text(date)}" if date is not None else ""
    if not date:
        return f"the other's is good until {date_text(certificate.expiry)}"
    until, now = date_text(certificate.expiry), date_text(date)
    if until == now:
        until, now = second_text(certificate.expiry), second_text(date)
    return f"the other's is good until {until}, it is {now}"


def _order(heard: Heard) -> str:
    order, date = heard.given[tags.ORDER], heard.given.get(tags.DATE)
    return f"good until {date_text(order.expiry)}" + (f", it is {date_text(date)}" if date else "")


def _credit(heard: Heard) -> str:
    date = heard.given.get(tags.DATE)
    return f"on {date_text(date)}" if date else ""


def _currency(heard: Heard) -> str:
    request = heard.given.get(tags.REQUEST)
    return amount_text(request.amount, request.currency) if request is not None else ""


def _older(heard: Heard) -> str:
    if heard.purse is None:
        return ""
    body: Fields = next(iter(heard.given.values()), None)
    grown = heard.purse.grown
    if heard.ins == Ins.PUT_CREDIT and "credit" in grown and body is not None:
        return f"serial {body.serial}, the card has {grown['credit']}"
    if "edition" in grown and hasattr(body, "edition"):
        return f"edition {body.edition}, the card has seen {grown['edition']}"
    return ""


_WHOM = {
    int(Ins.REQUEST): (tags.CARD_ID, ""),
    int(Ins.PAY): (tags.CERTIFICATE, "subject"),
    int(Ins.RECEIVE): (tags.VALUE, "payee"),
    int(Ins.PUT_CREDIT): (tags.CREDIT, "card"),
    int(Ins.UNLOCK): (tags.ORDER, "card"),
    int(Ins.TERMINATE): (tags.ORDER, "card"),
}


def _other_card(heard: Heard) -> str:
    tag, field = _WHOM.get(heard.ins, (None, ""))
    if tag is None or tag not in heard.given:
        return ""
    whom = getattr(heard.given[tag], field) if field else heard.given[tag]
    card = heard.purse.card if heard.purse is not None else b""
    if heard.ins in _OFFERS:
        return _other_party(whom, card)
    return f"for {card_text(whom)}" + (f", this is {card_text(card)}" if card else "")


def _other_party(whom: bytes, card: bytes) -> str:
    """The other party is the card itself, or a card of another issuer."""
    if not card:
        return f"{card_text(whom)} is this card itself, or another issuer's"
    if whom == card:
        return f"{card_text(whom)} is this card itself"
    if whom[:_ISSUER] != card[:_ISSUER]:
        return f"{card_text(whom)} is another issuer's, this is {card_text(card)}"
    return ""


def _missing(heard: Heard) -> str:
    if heard.ins == Ins.PUT_KEY:
        return "the card has keys of another version"
    if heard.ins == Ins.SETTLE and heard.given:
        return f"no unsettled transfer with counter {settling(heard)[1].counter}"
    if heard.ins == Ins.GIVE_AGAIN and heard.given:
        return f"no unsettled transfer with counter {heard.given[tags.COUNTER]}"
    return ""


_REASONS: dict[int, Callable[[Heard], str]] = {
    W.INSUFFICIENT_MONEY: _money,
    W.CREDIT_LIMIT: _allowance,
    W.BALANCE_LIMIT: _room,
    W.TRANSFER_LIMIT: _transfer,
    W.SECURITY_STATUS: _security,
    W.CERTIFICATE_EXPIRED: _expired,
    W.CREDIT_EXPIRED: _credit,
    W.ORDER_EXPIRED: _order,
    W.CURRENCY: _currency,
    W.OLDER: _older,
    W.NOT_THIS_CARD: _other_card,
    W.DATA_NOT_FOUND: _missing,
}
