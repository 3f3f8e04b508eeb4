"""Rules about one command of the purse; they are asked only where its objects and those of the answer parse."""

from apdu.commands import Ins
from apdu.objects import NO_PIN_SUM
from apdu.trace import meaning_tags as tags
from apdu.trace.meaning_follow import same_request
from apdu.trace.meaning_heard import Heard, settling
from apdu.trace.meaning_words import card_text, money

__all__ = []


def _differs(heard: Heard, pairs: tuple[tuple[str, object, object], ...]) -> str:
    names = [name for name, asked, answered in pairs if asked is not None and asked != answered]
    return f"the answer of {heard.row.name} has another {names[0]} than the command" if names else ""


def other_request(heard: Heard) -> str:
    """REQUEST answers with another amount than was asked for."""
    asked, answered = heard.given[tags.AMOUNT], heard.got[tags.REQUEST].amount
    return "" if asked == answered else _differs(heard, (("amount", asked, answered),))


def request_number_repeats(heard: Heard) -> str:
    """Request numbers only grow."""
    last = heard.purse.grown.get("requests", 0) if heard.purse is not None else 0
    number = heard.got[tags.REQUEST].number
    return f"request number {number} does not come after {last}" if number <= last else ""


def nonce_repeats(heard: Heard) -> str:
    """A nonce was used before: whoever has the old value could be credited again."""
    nonce = heard.got[tags.REQUEST].nonce
    if (whose := heard.ledger.nonces.get(nonce)) is None:
        return ""
    return f"the nonce {nonce.hex().upper()} was in a request of {whose} before"


def other_value(heard: Heard) -> str:
    """PAY signs a value for something else than the request."""
    request, value = heard.given[tags.REQUEST], heard.got[tags.VALUE]
    if heard.given[tags.CERTIFICATE].subject == value.payee and request == value[3:]:
        return ""
    pairs = (
        ("payee", heard.given[tags.CERTIFICATE].subject, value.payee),
        ("request number", request.number, value.request),
        ("nonce", request.nonce, value.nonce),
        ("amount", request.amount, value.amount),
        ("currency", request.currency, value.currency),
    )
    return _differs(heard, pairs)


def payment_counter_repeats(heard: Heard) -> str:
    """Payment counters only grow."""
    last = heard.purse.grown.get("counter", 0) if heard.purse is not None else 0
    counter = heard.got[tags.VALUE].counter
    return f"payment counter {counter} does not come after {last}" if counter <= last else ""


def paid_without_pin(heard: Heard) -> str:
    """More was paid without the PIN than the purse's amount, or in all than its sum."""
    parameters = heard.purse.parameters if heard.purse is not None else None
    if heard.purse is None or parameters is None or heard.place.verified is not False:
        return ""
    amount, paid = heard.got[tags.VALUE].amount, heard.purse.exact.get("without_pin", 0)
    if amount > parameters.pin_above:
        return f"{money(heard, amount)} was paid without the PIN, wanted above {money(heard, parameters.pin_above)}"
    if NO_PIN_SUM > parameters.pin_sum < paid + amount:
        total, most = money(heard, paid + amount), money(heard, parameters.pin_sum)
        return f"{total} in all were paid without the PIN, wanted above {most}"
    return ""


def paid_too_much(heard: Heard) -> str:
    """More was paid than the purse held."""
    balance = heard.purse.exact.get("balance") if heard.purse is not None else None
    amount = heard.got[tags.VALUE].amount
    if balance is None or amount <= balance:
        return ""
    return f"{money(heard, amount)} was paid from {money(heard, balance)}"


def other_counter(heard: Heard) -> str:
    """GIVE AGAIN gives another value than was asked for."""
    return _differs(heard, (("counter", heard.given[tags.COUNTER], heard.got[tags.VALUE].counter),))


def other_challenge(heard: Heard) -> str:
    """ATTEST signs another challenge than was given."""
    return _differs(heard, (("challenge", heard.given[tags.CHALLENGE], heard.got[tags.ATTESTATION].challenge),))


def other_receipt(heard: Heard) -> str:
    """RECEIVE answers for another value than it was given."""
    value, got = heard.given[tags.VALUE], heard.got
    body = got[tags.RECEIPT] if tags.RECEIPT in got else got[tags.REFUSAL]
    if value.payer == body.payer and value.counter == body.counter:
        return ""
    return _differs(heard, (("payer", value.payer, body.payer), ("counter", value.counter, body.counter)))


def receipt_and_refusal(heard: Heard) -> str:
    """One value gets receipts or refusals, never both."""
    value, word = heard.given[tags.VALUE], "receipt" if tags.RECEIPT in heard.got else "refusal"
    known = heard.ledger.transfer(value.payer, value.counter)
    if known is None or known.answer in ("", word):
        return ""
    return f"a {word} for a value that had a {known.answer}"


def receipt_without_request(heard: Heard) -> str:
    """A value was credited that does not answer the open request, and was not credited before."""
    value, purse = heard.given[tags.VALUE], heard.purse
    if tags.REFUSAL in heard.got or purse is None or purse.first_request is None:
        return ""
    if same_request(purse, value) or value.request < purse.first_request:
        return ""
    known = heard.ledger.transfer(value.payer, value.counter)
    if known is not None and known.answer == "receipt":
        return ""
    if purse.request is None:
        return f"a receipt for request {value.request}, and no request is open"
    return f"a receipt for request {value.request}, and request {purse.request[0]} is open with other content"


def nothing_to_settle(heard: Heard) -> str:
    """SETTLE was accepted though no such transfer is unsettled."""
    _, body = settling(heard)
    known = heard.ledger.transfer(body.payer, body.counter)
    if known is not None and known.settled:
        return f"accepted, though the transfer with counter {body.counter} was settled before"
    if heard.purse is not None and heard.purse.exact.get("unsettled") == 0:
        return "accepted, though no transfer was unsettled"
    return ""


def settled_for_another(heard: Heard) -> str:
    """SETTLE accepted an answer of another payee, or a receipt where a refusal was signed."""
    tag, body = settling(heard)
    known = heard.ledger.transfer(body.payer, body.counter)
    if known is None or not known.payee or tag is tags.RESOLUTION or known.payee == body.payee:
        return ""
    return f"accepted from {card_text(body.payee)}, and the value was for {card_text(known.payee)}"


def older_accepted(heard: Heard) -> str:
    """A head, order or credit information was accepted that is older than what the card had."""
    if heard.purse is None:
        return ""
    body, grown = next(iter(heard.given.values())), heard.purse.grown
    name, value = ("credit", body.serial) if heard.ins == Ins.PUT_CREDIT else ("edition", body.edition)
    last = grown.get(name, -1)
    # an equal edition of a head is believed; an order and a serial must be higher
    if value > last or (value == last and heard.ins in (Ins.LOCK_OUT, Ins.PUT_DATE)):
        return ""
    return f"{name} {value} was accepted, and the card had {last}"


def challenge_repeats(heard: Heard) -> str:
    """The challenge of a secure channel was used before: what was recorded then can be played again."""
    chip, _, challenge, _ = heard.record
    if (chip, challenge) not in heard.ledger.challenges:
        return ""
    return f"the card challenge {challenge.hex().upper()} was used before"
