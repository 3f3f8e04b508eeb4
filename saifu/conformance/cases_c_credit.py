"""Credit information: PUT CREDIT, ATTEST, what credit allows, and its renewal.

What is good comes before what is declined: so that nothing hides what a declined command has changed.
"""

import secrets
from collections.abc import Callable
from functools import partial
from hashlib import sha256

from apdu.commands import Ins
from apdu.identity import LifeCycle
from apdu.messages import UNSETTLED_MAX, Attestation, Credit, Refusal, Signed
from apdu.payload import Tag
from apdu.status import StatusWord as W
from host.session import Attested, PurseSession
from saifu.conformance.case import case
from saifu.conformance.issuer import Issuer
from saifu.conformance.provoking import dated, forgeries, misshapen, signed_by_other_center_keys, through, twin_of
from saifu.conformance.stand import SERIAL, Stand
from saifu.conformance.subject import must

__all__: list[str] = []

_OTHER = 8
"""A serial that is not the card's."""
_BUSY = (LifeCycle.ACTIVE, LifeCycle.LOCKED_OUT)
_credited = partial(case, ins=Ins.PUT_CREDIT)


def _offer(stand: Stand, raw: bytes, sw: int = W.OK) -> None:
    stand.card.send(Ins.PUT_CREDIT, {Tag.CREDIT: raw}, sw, ne=None)


def _signed(stand: Stand, **changed: int) -> Signed[Credit]:
    """The next credit information, with some fields changed."""
    fields = {"seen": stand.card.twin.cells.record.number(), "serial": stand.credit.serial + 1} | changed
    return stand.issuer.credit(SERIAL, fields.pop("serial"), **fields)


def _active(stand: Stand) -> None:
    """An active card, reset and selected."""
    if stand.card.state is LifeCycle.LOCKED_OUT:
        stand.unlock()
    stand.card.fresh()


# --- PUT CREDIT ------------------------------------------------------------------------------------------------


@_credited("PUT CREDIT 1", "credit information has its layout")
def _layout(stand: Stand) -> None:
    _active(stand)
    _offer(stand, _signed(stand).raw)
    for wrong in misshapen(_signed(stand).raw):
        _offer(stand, wrong, W.WRONG_DATA)


@_credited("PUT CREDIT 2", "credit information of another card or issuer is declined, whatever is in it")
def _other_card(stand: Stand) -> None:
    _active(stand)
    serial = stand.credit.serial + 1
    for other in (
        stand.issuer.credit(_OTHER, serial),
        stand.issuer.credit(_OTHER, 0),
        Issuer(2).credit(SERIAL, serial),
    ):
        _offer(stand, other.raw, W.NOT_THIS_CARD)


@_credited("PUT CREDIT 3", "the serial is higher than the stored one's, by one or by more")
def _serial(stand: Stand) -> None:
    _active(stand)
    _offer(stand, _signed(stand, serial=stand.credit.serial + 5).raw)
    _offer(stand, _signed(stand).raw)
    now = stand.credit.serial
    for old in (0, now - 2, now - 1, now):
        _offer(stand, _signed(stand, serial=old).raw, W.OLDER)
    _offer(stand, stand.card.twin.cells.credit.get(), W.OLDER)


@_credited("PUT CREDIT 3", "the center has seen no fewer records than before")
def _seen_less(stand: Stand) -> None:
    stand.ready()
    stand.renew()
    seen = stand.credit.seen
    _offer(stand, _signed(stand, seen=seen).raw)
    for less in (0, seen - 1):
        _offer(stand, _signed(stand, seen=less).raw, W.OLDER)


@_credited("PUT CREDIT 4", "the center has seen no more records than there are")
def _seen_more(stand: Stand) -> None:
    _active(stand)
    newest = stand.card.twin.cells.record.number()
    _offer(stand, _signed(stand, seen=newest).raw)
    for more in (newest + 1, 0xFFFFFFFF):
        _offer(stand, _signed(stand, seen=more).raw, W.WRONG_DATA)
        _offer(stand, _signed(stand, seen=more, serial=0).raw, W.OLDER)


@_credited("PUT CREDIT 5", "a signature that is not that of the center's key for orders is declined")
def _forged(stand: Stand) -> None:
    _active(stand)
    _offer(stand, twin_of(_signed(stand).raw))
    good = _signed(stand).raw
    for forged in (*forgeries(good, stand.issuer.orders, 24), *signed_by_other_center_keys(good, stand.issuer)):
        _offer(stand, forged, W.SIGNATURE_INVALID)


@_credited("PUT CREDIT", "with new credit information payments and amount are counted from 0")
def _counts(stand: Stand) -> None:
    stand.ready()
    stand.renew()
    for amount in (30, 12):
        through(stand, stand.partner(), amount)
    used = stand.card.session().get_credit()[1]
    must((used.count, used.amount) == (2, 42), f"two payments of 42 are counted as {used.count} of {used.amount}")
    stand.renew()
    used = stand.card.session().get_credit()[1]
    must((used.count, used.amount) == (0, 0), "the counts do not begin anew")


@_credited("PUT CREDIT", "the date becomes that of issue if it is later, and never goes back")
def _date(stand: Stand) -> None:
    _active(stand)
    now = stand.now
    for issued, date in ((now + 2, now + 2), (now + 1, now + 2), (0, now + 2), (now + 3, now + 3)):
        stand.renew(issued=issued)
        told = stand.card.session().get_counters().date
        must(told == date, f"the date is {told}, and the latest date of issue {date}")


# --- what credit allows ----------------------------------------------------------------------------------------


@case("Credit information", "out of date it is stored all the same; then nothing is asked or paid, and money arrives")
def _expired(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    waiting = partner.pays(stand.requested(7, partner))
    stand.renew(expiry=stand.now - 1)
    stand.pay(partner.asks(5), W.CREDIT_EXPIRED)
    stand.request(5, partner.card, W.CREDIT_EXPIRED)
    stand.answered(waiting)
    stand.renew()
    through(stand, partner, 5)
    stand.request(5, partner.card)


@case("Credit information", "the expiry is its last moment, by the later of the terminal's date and the card's own")
def _last_moment(stand: Stand) -> None:
    stand.ready()
    partner, last = stand.partner(), stand.now
    stand.renew(expiry=last)
    for date in (dated(last + 1), dated(0xFFFFFFFF)):
        stand.request(5, partner.card, W.CREDIT_EXPIRED, date)
    stand.pay(partner.asks(5), W.CREDIT_EXPIRED, dated(last + 1))
    for date in (dated(last), dated(0), dated()):
        stand.request(5, partner.card, changed=date)
    stand.settle(partner.answers(stand.paid(partner.asks(5), dated(last))))
    head = stand.issuer.edition(stand.edition().number, time=last + 1).head
    stand.card.send(Ins.PUT_DATE, {Tag.HEAD: head.raw}, ne=None)
    for date in (dated(), dated(last)):
        stand.request(5, partner.card, W.CREDIT_EXPIRED, date)
        stand.pay(partner.asks(5), W.CREDIT_EXPIRED, date)
    stand.renew()


@case("Credit information", "its count limits the payments behind it, and nothing that is received")
def _count(stand: Stand) -> None:
    stand.ready(count=2)
    partner = stand.partner()
    for _ in range(2):
        through(stand, partner)
    stand.pay(partner.asks(1), W.CREDIT_LIMIT)
    stand.renew(count=0)
    stand.pay(partner.asks(1), W.CREDIT_LIMIT)
    stand.give(5)
    stand.renew(count=1)
    through(stand, partner)
    stand.pay(partner.asks(1), W.CREDIT_LIMIT)


@case("Credit information", "its amount limits what is paid in all; a refund gives nothing of it back")
def _amount(stand: Stand) -> None:
    stand.ready(amount=100)
    partner = stand.partner()
    through(stand, partner, 60)
    stand.pay(partner.asks(41), W.CREDIT_LIMIT)
    through(stand, partner, 40, Refusal)
    stand.pay(partner.asks(1), W.CREDIT_LIMIT)
    stand.renew(amount=0)
    stand.pay(partner.asks(1), W.CREDIT_LIMIT)


# --- ATTEST ----------------------------------------------------------------------------------------------------


def _reset(state: LifeCycle, stand: Stand) -> PurseSession:
    """A card in a state, reset and selected."""
    if state is LifeCycle.LOCKED_OUT:
        stand.locked()
    elif stand.card.state is LifeCycle.LOCKED_OUT:
        stand.unlock()
    return stand.card.session()


def _in_both(clause: str, title: str, run: Callable[[LifeCycle, Stand], None]) -> None:
    for state in _BUSY:
        case(clause, title, state, ins=Ins.ATTEST)(partial(run, state))


def _challenges(state: LifeCycle, stand: Stand) -> None:
    _reset(state, stand)
    for size in (0, 1, 15, 17, 32):
        stand.card.send(Ins.ATTEST, {Tag.CHALLENGE: bytes(size)}, W.WRONG_DATA)
    stand.card.send(Ins.ATTEST, {Tag.CHALLENGE: bytes(16)})


_in_both("ATTEST 1", "the challenge has 16 bytes, of any value", _challenges)


def _check(session: PurseSession, attested: Attested, challenge: bytes) -> None:
    """Against everything that the card, just selected, tells otherwise."""
    counters, status, (credit, _) = session.get_counters(), session.selected.status, session.get_credit()
    waiting = b"".join(entry.counter.to_bytes(4) for entry in session.get_unsettled())
    said = Attestation(
        card=session.card, challenge=challenge, state=status.state, balance=status.balance,
        counter=counters.payments, request=counters.requests, open=counters.open, record=counters.record,
        chain=counters.chain, credit=credit.body.serial, edition=status.edition, date=counters.date,
        unsettled=waiting.ljust(4 * UNSETTLED_MAX, b"\0"),
    )  # fmt: skip
    for name in Attestation.LAYOUT:
        told = getattr(attested.attestation.body, name), getattr(said, name)
        must(told[0] == told[1], f"{name} is attested as {told[0]!r}, and read as {told[1]!r}")
    certificate = session.get_certificate()
    must(attested.certificate == certificate, "another certificate is attested than is read")
    attested.attestation.verify(certificate.body.point)


def _fields(state: LifeCycle, stand: Stand) -> None:
    """With unsettled transfers and an open request, as many as every history has room for."""
    stand.ready()
    partner = stand.partner()
    for amount in range(min(stand.card.twin.cells.unsettled_capacity, 3)):
        stand.paid(partner.asks(1 + amount))
    stand.request(9, partner.card)
    session, challenge = _reset(state, stand), secrets.token_bytes(16)
    _check(session, session.attest(challenge), challenge)


_in_both("ATTEST", "the attestation says what the card says otherwise, field by field, and is signed", _fields)


@case("Credit information", "renewal: the records that were not seen lead to the attested chain and balance")
def _renewal(stand: Stand) -> None:
    stand.ready()
    stand.renew()
    before = stand.card.session().get_counters()
    through(stand, stand.partner(), 3, Refusal)
    stand.give(8)
    session, challenge = stand.card.session(), secrets.token_bytes(16)
    attested = session.attest(challenge)
    _check(session, attested, challenge)
    state = attested.attestation.body
    chain, records = before.chain, session.history(state.record - before.record)
    for record in sorted(records, key=lambda record: record.number):
        chain = sha256(chain + record.encode()).digest()
    must(chain == state.chain, "the records do not lead to the attested chain")
    must(records[0].balance == state.balance, "the newest record has another balance than is attested")
    stand.renew(seen=state.record, issued=state.date)
