"""Cases on whole transfers in both directions, torn and resumed; and on the history that they leave."""

from hashlib import sha256

from apdu.commands import Ins
from apdu.messages import Receipt, Refusal
from apdu.objects import HistoryRecord, Kind
from apdu.status import StatusWord as W
from host.session import Answer, PurseSession
from saifu.conformance.case import case
from saifu.conformance.provoking import close, fill, through
from saifu.conformance.stand import Stand
from saifu.conformance.subject import must

__all__ = ["UNREACHED"]

_APART = "no command brings the balance apart from the newest record: only damaged memory does"
_END = "it takes 4294967295 commands to bring the counter to its end"
UNREACHED: dict[str, str] = {
    "REQUEST 6": _APART,
    "REQUEST 8": _END,
    "REQUEST 10": _END,
    "PAY 9": _APART,
    "PAY 14": _END,
    "PAY 17": _END,
}
"""Rows whose declining side no terminal can bring about, and why."""


def _is(answer: Answer, kind: type[Receipt | Refusal]) -> None:
    must(isinstance(answer.body, kind), f"the answer is not a {kind.__name__.lower()}")


def _unsettled(stand: Stand) -> list[int]:
    """Counters that GET DATA 0106 tells, after a reset."""
    return [entry.counter for entry in stand.card.session().get_unsettled()]


# --- whole transfers ---------------------------------------------------------------------------------------


@case("The purse", "money that a purse is paid is on it, and gone from the payer; both histories agree")
def _to_the_card(stand: Stand) -> None:
    stand.ready(1_000)
    payer = stand.another(5_000)
    paid = payer.pay(stand.requested(700, payer), stand.now)
    answer = stand.answered(paid)
    _is(answer, Receipt)
    payer.settle(answer)
    mine, theirs = PurseSession(stand.card).read_record(0), payer.read_record(0)
    must((mine.balance, theirs.balance) == (1_700, 4_300), "the balances are not what they were, moved by the amount")
    same = (theirs.counter, theirs.request, theirs.amount)
    must((mine.counter, mine.request, mine.amount) == same, "the histories do not agree")


@case("The purse", "money that a purse pays is gone from it, and on the payee's; both histories agree")
def _from_the_card(stand: Stand) -> None:
    stand.ready(1_000)
    payee = stand.another()
    answer = payee.receive(stand.paid(stand.asked_by(payee, 700)), stand.now)
    _is(answer, Receipt)
    stand.settle(answer)
    mine, theirs = PurseSession(stand.card).read_record(0), payee.read_record(0)
    must((mine.balance, theirs.balance) == (300, 700), "the balances are not what they were, moved by the amount")
    same = (theirs.counter, theirs.request, theirs.amount)
    must((mine.counter, mine.request, mine.amount) == same, "the histories do not agree")


@case("The purse", "the same two purses pay each other at once")
def _both_ways(stand: Stand) -> None:
    stand.ready(1_000)
    other = stand.another(1_000)
    asked, asks = stand.requested(300, other), stand.asked_by(other, 200)
    mine, theirs = stand.paid(asks), other.pay(asked, stand.now)
    receipt = stand.answered(theirs)
    stand.settle(other.receive(mine, stand.now))
    other.settle(receipt)
    must((stand.card.session().selected.status.balance, other.select().status.balance) == (1_100, 900), "money is gone")


@case("The purse", "a request that nobody signed gets a value that its payee refuses, and the money comes back")
def _made_up(stand: Stand) -> None:
    stand.ready(1_000)
    payee = stand.another()
    asked = stand.asked_by(payee, 500)
    made_up = stand.partner().asks(500).request
    answer = payee.receive(stand.paid(type(asked)(asked.certificate, made_up)), stand.now)
    _is(answer, Refusal)
    stand.settle(answer)
    must(stand.card.session().selected.status.balance == 1_000, "the money is not back")


# --- torn and resumed --------------------------------------------------------------------------------------


@case("The purse", "a payee that is reset after each step goes on where it was")
def _torn_payee(stand: Stand) -> None:
    stand.ready(1_000)
    payer = stand.another(5_000)
    paid = payer.pay(stand.requested(700, payer), stand.now)
    answers = []
    for _ in range(3):
        stand.card.fresh()
        answers.append(stand.answered(paid))
    must({answer.body for answer in answers} == {answers[0].body}, "the answers differ")
    payer.settle(answers[2])
    must(stand.card.session().selected.status.balance == 1_700, "the value is not credited once")


@case("The purse", "a payer that is reset after each step goes on by GET DATA, GIVE AGAIN and SETTLE")
def _torn_payer(stand: Stand) -> None:
    stand.ready(1_000)
    payee = stand.another()
    paid = stand.paid(stand.asked_by(payee, 700))
    counter = paid.value.body.counter
    must(_unsettled(stand) == [counter], "GET DATA 0106 does not tell the transfer after a reset")
    again = stand.given_again(counter)
    must(again == paid, "the value that is given again is another")
    answer = payee.receive(again, stand.now)
    stand.card.fresh()
    stand.settle(answer)
    must(_unsettled(stand) == [], "the transfer is unsettled after a reset")
    stand.settle(answer, W.DATA_NOT_FOUND)
    must(stand.balance == 300, "the money is not gone once")


@case("The purse", "a transfer whose receipt was lost is settled by the payee's second one")
def _lost_receipt(stand: Stand) -> None:
    stand.ready(1_000)
    payee = stand.another()
    payee.receive(stand.paid(stand.asked_by(payee, 700)), stand.now)
    (counter,) = _unsettled(stand)
    answer = payee.receive(stand.given_again(counter), stand.now)
    _is(answer, Receipt)
    stand.settle(answer)
    must(payee.select().status.balance == 700, "the payee has not the money once")


@case("The purse", "a transfer that the payee gave up comes back, though it was torn in between")
def _given_up(stand: Stand) -> None:
    stand.ready(1_000)
    payee = stand.another()
    stand.paid(stand.asked_by(payee, 700))
    stand.asked_by(payee, 1)
    (counter,) = _unsettled(stand)
    answer = payee.receive(stand.given_again(counter), stand.now)
    _is(answer, Refusal)
    stand.card.fresh()
    stand.settle(answer)
    must(stand.card.session().selected.status.balance == 1_000, "the money is not back")


@case("Credit information", "credit that is used up stops new payments alone; what has begun is ended")
def _used_up(stand: Stand) -> None:
    stand.ready(1_000, count=1)
    payee = stand.another()
    stand.paid(stand.asked_by(payee, 700))
    (counter,) = _unsettled(stand)
    stand.pay(stand.partner().asks(1), W.CREDIT_LIMIT)
    stand.settle(payee.receive(stand.given_again(counter), stand.now))
    stand.pay(stand.partner().asks(1), W.CREDIT_LIMIT)
    stand.renew(count=1)
    stand.pay(stand.partner().asks(1))


@case("Life cycle", "a locked-out card moves no money, not even back to it, and goes on when it is unlocked")
def _locked_between(stand: Stand) -> None:
    stand.ready(1_000)
    partner = stand.partner()
    paid, asked = stand.paid(partner.asks(100)), stand.requested(200, partner)
    refusal, got = partner.answers(paid, Refusal), partner.pays(asked)
    stand.locked()
    stand.settle(refusal, W.LOCKED_OUT)
    stand.give_again(paid.value.body.counter, W.LOCKED_OUT)
    stand.receive(got, W.LOCKED_OUT)
    stand.request(1, partner.card, W.LOCKED_OUT)
    stand.pay(partner.asks(1), W.LOCKED_OUT)
    stand.unlock()
    stand.settle(refusal)
    _is(stand.answered(got), Receipt)
    must(stand.card.session().selected.status.balance == 1_200, "the money has not come")


# --- the history -------------------------------------------------------------------------------------------


@case("History", "each kind of transfer is written down: numbers, other card, balance behind it, the card's date")
def _records(stand: Stand) -> None:
    stand.ready(1_000)
    close(stand)
    partner, session = stand.partner(), PurseSession(stand.card)
    before = session.get_counters()
    sent = through(stand, partner, 100).value.body
    back = through(stand, partner, 200, Refusal).value.body
    received = partner.pays(stand.requested(400, partner))
    stand.answered(received)
    number, date, got = before.record, before.date, received.value.body
    start, other = stand.balance - 300, partner.card
    wanted = [
        HistoryRecord(number + 4, Kind.RECEIVED, other, got.counter, got.request, 400, start + 300, date),
        HistoryRecord(number + 3, Kind.REFUNDED, other, back.counter, back.request, 200, start - 100, date),
        HistoryRecord(number + 2, Kind.PAID, other, back.counter, back.request, 200, start - 300, date),
        HistoryRecord(number + 1, Kind.PAID, other, sent.counter, sent.request, 100, start - 100, date),
    ]
    must(session.history(4) == wanted, "the records are not those of what was done")


@case("History", "requests, receipts and refusals of the payee leave no record")
def _no_record(stand: Stand) -> None:
    stand.ready()
    partner, session = stand.partner(), PurseSession(stand.card)
    paid, before = stand.paid(partner.asks(1)), session.get_counters()
    stand.settle(partner.answers(paid))
    late = partner.pays(stand.requested(1, partner))
    stand.requested(1, partner)
    _is(stand.answered(late), Refusal)
    after = session.get_counters()
    must((after.record, after.chain) == (before.record, before.chain), "there is a record of it")


@case("History", "the chain is SHA-256 over every record, and ATTEST signs it", ins=Ins.ATTEST)
def _chain(stand: Stand) -> None:
    stand.ready()
    close(stand)
    partner, session = stand.partner(), PurseSession(stand.card)
    before = session.get_counters()
    through(stand, partner, 10, Refusal)
    stand.answered(partner.pays(stand.requested(20, partner)))
    chain = before.chain
    for record in reversed(session.history(3)):
        chain = sha256(chain + record.encode()).digest()
    must(session.get_counters().chain == chain, "the chain does not come from the records")
    attested = session.attest(bytes(range(16))).attestation.body
    must((attested.record, attested.chain) == (before.record + 3, chain), "ATTEST does not sign the chain")
    must(attested.balance == session.select().status.balance, "ATTEST does not sign the balance")


@case("History", "the newest records are kept, as many as the capacities say, and their chain is whole")
def _ring(stand: Stand) -> None:
    stand.ready()
    close(stand)
    session, places = PurseSession(stand.card), stand.card.twin.cells.history_capacity
    before = session.get_counters()
    fill(stand, places)
    records, chain = session.history(places), before.chain
    numbers = [record.number for record in records]
    must(numbers == [*range(before.record + places, before.record, -1)], "the newest records are not there")
    for record in reversed(records):
        chain = sha256(chain + record.encode()).digest()
    must(session.get_counters().chain == chain, "the chain does not come from the records")
    stand.card.send(Ins.READ_RECORD, sw=W.RECORD_NOT_FOUND, p1=places + 1, p2=0x0C)
