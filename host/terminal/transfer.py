"""One transfer between two purses, and the resumption of one that was cut: REQUEST, PAY, RECEIVE, SETTLE."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from apdu.errors import CardError, MisbehaviourError, ReaderError, RefusedError
from apdu.identity import CardId
from apdu.messages import Refusal, Value
from apdu.objects import Request, UnsettledEntry
from apdu.status import StatusError, StatusWord, tries_left
from host.session import Answer, Paid, PurseSession, Requested

__all__ = ["AskPin", "Begin", "Transfer", "ask", "pay", "receive", "resume", "settle", "transfer", "with_pin"]

ResultT = TypeVar("ResultT")

AskPin = Callable[[int | None], bytes]
"""Asks for the PIN; told how many tries are left after a wrong one, or None the first time."""

Begin = Callable[[Request], None]
"""Is told the payee's request before anything is paid for it; what it raises ends the transfer, and nothing moves."""

_TRIES_MOST = 15
"""A PIN has at most 15 tries, so after the first wrong one at most 14 are left."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer that is over for the payee; unsettled until the payer's card has the receipt.

    ``counter`` is the payer's, ``request`` the payee's number of it. ``arrived`` says that the money reached the payee
    in this operation, and not before a cut.
    """

    payer: CardId
    amount: int
    counter: int
    request: int
    credited: bool
    settled: bool
    arrived: bool


def _nothing_to_begin(_request: Request) -> None:
    """Most terminals keep no book of what they do."""


def transfer(
    payer: PurseSession,
    payee: PurseSession,
    amount: int,
    now: int,
    pin: AskPin,
    begin: Begin = _nothing_to_begin,
) -> Transfer:
    """Move ``amount`` minor units; ``pin`` is asked only when the payer's card wants it.

    Raises RefusedError when the payee refuses (the money is back on the payer's purse), StatusError when
    a card declines, OutcomeUnknownError when a card is lost on the way: then ``resume`` ends it.
    """
    requested = ask(payee, payer.card, amount, now)
    begin(requested.request)
    paid = with_pin(payer, pin, lambda: pay(payer, requested, now))
    return settle(payer, paid, receive(payee, paid, now), now)


def ask(payee: PurseSession, payer: CardId, amount: int, now: int) -> Requested:
    """REQUEST: a card must ask for what the display shows, as the card that was checked against the blacklist."""
    requested = payee.request(amount, payer, now)
    if (requested.certificate.body.subject, requested.request.amount) != (payee.card, amount):
        raise MisbehaviourError(f"card {payee.card} answers REQUEST with something else than was asked")
    return requested


def with_pin(payer: PurseSession, pin: AskPin, paying: Callable[[], ResultT]) -> ResultT:
    """Do what has the payer's card PAY; once more after asking for the PIN, if the card wants it."""
    try:
        return paying()
    except StatusError as error:
        if (error.command, error.sw) != ("PAY", StatusWord.SECURITY_STATUS):
            raise
    _verify(payer, pin)
    return paying()


def pay(payer: PurseSession, requested: Requested, now: int) -> Paid:
    """PAY: a card must pay as the card that was checked against the blacklist, and what was asked."""
    paid = payer.pay(requested, now)
    asked, value = requested.request, paid.value.body
    payee = requested.certificate.body.subject
    wanted = Value(payer.card, value.counter, payee, asked.number, asked.nonce, asked.amount, asked.currency)
    if value != wanted or paid.certificate.body.subject != payer.card:
        raise MisbehaviourError(f"card {payer.card} answers PAY with something else than was asked")
    return paid


def _verify(payer: PurseSession, pin: AskPin) -> None:
    """Ask for the PIN until it is right or no tries are left; each wrong one must cost a try."""
    left: int | None = None
    while True:
        before = _TRIES_MOST if left is None else left
        try:
            return payer.verify(pin(left))
        except StatusError as error:
            left = tries_left(error.sw)
            if left is None:
                raise
        if left >= before:
            raise MisbehaviourError(f"card {payer.card} counts no tries of the PIN")


def receive(payee: PurseSession, paid: Paid, now: int) -> Answer:
    """RECEIVE: a receipt or refusal of this very transfer."""
    answer = payee.receive(paid, now)
    value, body = paid.value.body, answer.body
    if (body.payer, body.counter, body.payee) != (value.payer, value.counter, value.payee):
        raise MisbehaviourError(f"card {value.payee} answers RECEIVE for another transfer")
    return answer


def settle(payer: PurseSession, paid: Paid, answer: Answer, now: int) -> Transfer:
    """SETTLE; a payer that is lost by now, or declines, only leaves it for later. Raises RefusedError, see transfer."""
    done = _ended(payer, paid, answer, now, is_open=True)
    if not done.credited:
        back = "is back on" if done.settled else "comes back when this meets it again:"
        raise RefusedError(f"card {paid.value.body.payee} refused the money; it {back} card {payer.card}")
    return done


def _ended(payer: PurseSession, paid: Paid, answer: Answer, now: int, *, is_open: bool) -> Transfer:
    """A transfer after SETTLE; ``is_open``: the payee has waited for this value and not received it before."""
    value, credited = paid.value.body, not isinstance(answer.body, Refusal)
    settled = _settle(payer, answer, now)
    arrived = credited and is_open
    return Transfer(payer.card, value.amount, value.counter, value.request, credited, settled, arrived)


def _settle(payer: PurseSession, answer: Answer, now: int) -> bool:
    """SETTLE; False when that is left for later. A receipt or refusal that is not the payee's is an error."""
    try:
        payer.settle(answer, now)
    except StatusError as error:
        if error.sw in (StatusWord.SIGNATURE_INVALID, StatusWord.NOT_THIS_CARD):
            raise
        return False
    except (ReaderError, CardError):
        return False
    return True


def resume(payer: PurseSession, payee: PurseSession, now: int) -> list[Transfer]:
    """End every unsettled transfer from one card to the other, in any terminal, as often as needed.

    One that is older than the payee's history stays for the center to resolve.
    """
    if not payer.selected.status.unsettled:
        return []
    torn = [entry for entry in payer.get_unsettled() if entry.payee == payee.card]
    return [done for entry in torn if (done := _resume_one(payer, payee, entry, now))]


def _resume_one(payer: PurseSession, payee: PurseSession, entry: UnsettledEntry, now: int) -> Transfer | None:
    paid = payer.give_again(entry.counter)
    value = paid.value.body
    named = (value.payer, value.counter, value.payee, value.amount, paid.certificate.body.subject)
    if named != (payer.card, entry.counter, payee.card, entry.amount, payer.card):
        raise MisbehaviourError(f"card {payer.card} answers GIVE AGAIN with something else than was asked")
    counters = payee.get_counters()
    is_open = bool(counters.open) and counters.requests == value.request
    try:
        answer = receive(payee, paid, now)
    except StatusError as error:
        if (error.command, error.sw) != ("RECEIVE", StatusWord.BEYOND_HISTORY):
            raise
        return None
    return _ended(payer, paid, answer, now, is_open=is_open)
