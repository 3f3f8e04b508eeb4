"""Renewal of credit information, fig. 7, with the reconciliation that it brings: only for cards not listed."""

import secrets
from hashlib import sha256
from hmac import compare_digest

from apdu.errors import AuthenticityError, RefusedError
from apdu.identity import CardId, LifeCycle
from apdu.messages import Attestation, Certificate, Signed
from apdu.objects import HistoryRecord, Kind
from center.center import Center
from center.editions import is_listed
from center.models import CardRow, RecordRow
from center.resolution import resolve
from host.session import Attested
from host.terminal.line import Renewal, RenewalChallenge

__all__ = ["begin_renewal", "renew"]


def begin_renewal(center: Center, card: CardId) -> RenewalChallenge:
    """A fresh challenge for a card; raises RefusedError for a listed card [0030]."""
    if is_listed(center, card):
        raise RefusedError(f"card {card} is listed: its credit information is not renewed")
    with center.session() as session:
        row = center.row(session, card)
        row.challenge, row.challenged = secrets.token_bytes(16), center.now
        return RenewalChallenge(row.challenge, row.seen)


def renew(center: Center, attested: Attested, records: list[HistoryRecord]) -> Renewal:
    """Check the attested state and the history behind it, take both over, and sign new credit.

    Raises RefusedError with the reason; the challenge of a card that is not listed is used up either way.
    """
    card = attested.attestation.body.card
    if is_listed(center, card):
        raise RefusedError(f"card {card} is listed: its credit information is not renewed")
    state, challenged = _authentic(center, card, attested)
    with center.session() as session:
        row = center.row(session, card)
        _reconcile(row, state, records)
        session.add_all(_record_row(card, record, center.now) for record in records)
        session.flush()
        row.seen, row.chain, row.balance = state.record, state.chain, state.balance
        row.attestation, row.attested = attested.attestation.raw, challenged
        row.credit_serial = max(row.credit_serial, state.credit)
        credit = center.issue_credit(row, seen=state.record)
        resolutions = [resolve(center, session, row, counter) for counter in state.unsettled_counters]
    return Renewal(credit, tuple(resolution for resolution in resolutions if resolution))


def _authentic(center: Center, card: CardId, attested: Attested) -> tuple[Attestation, int]:
    """The attestation, if it is this card's answer to the challenge that was given out, and when that was.

    Both come out of one transaction: a challenge that is given out later makes no attestation newer.
    """
    with center.session() as session:
        row = center.row(session, card)
        challenge, row.challenge = row.challenge, None
        challenged, certificate = row.challenged, row.certificate
    if certificate is None or certificate != attested.certificate.raw:
        raise RefusedError(f"card {card} shows a certificate that it was not given")
    try:
        state = attested.attestation.verify(Signed.decode(Certificate, certificate).body.point)
    except AuthenticityError:
        raise RefusedError(f"card {card}: the attestation is not signed by it") from None
    if challenge is None or not compare_digest(challenge, state.challenge):
        raise RefusedError(f"card {card}: the attestation does not answer the challenge")
    if state.state is not LifeCycle.ACTIVE:
        raise RefusedError(f"card {card} is {state.state.text}: its credit information is not renewed")
    return state, challenged


def _reconcile(row: CardRow, state: Attestation, records: list[HistoryRecord]) -> None:
    """The records must go on from what the center has, and lead to the attested chain and balance."""
    chain, balance = row.chain, row.balance
    for number, record in enumerate(records, row.seen + 1):
        if record.number != number:
            raise RefusedError(f"card {state.card}: record {number} is missing")
        chain = sha256(chain + record.encode()).digest()
        balance += -record.amount if record.kind is Kind.PAID else record.amount
        if balance != record.balance:
            raise RefusedError(f"card {state.card}: the balance in record {number} is not what it must be")
    if (chain, balance, row.seen + len(records)) != (state.chain, state.balance, state.record):
        raise RefusedError(f"card {state.card}: its history does not go on from what the center has: a clone?")


def _record_row(card: CardId, record: HistoryRecord, uploaded: int) -> RecordRow:
    return RecordRow(
        serial=card.serial,
        number=record.number,
        kind=record.kind,
        other=record.other.serial,
        counter=record.counter,
        request=record.request,
        amount=record.amount,
        balance=record.balance,
        date=record.date,
        uploaded=uploaded,
    )
