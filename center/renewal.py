"""Renewal of credit information, fig. 7, with the reconciliation that it brings: only for cards not listed."""

import secrets
from hmac import compare_digest

from apdu.errors import AuthenticityError, RefusedError
from apdu.identity import CardId, LifeCycle
from apdu.messages import Attestation, Certificate, Signed
from apdu.objects import HistoryRecord
from center.center import Center
from center.editions import is_listed
from center.evidence import enough, examine, taken_in
from center.history import take_over_records
from center.resolution import resolve
from center.standing import require_current
from host.session import Attested
from host.terminal.line import Renewal, RenewalChallenge, Shown

__all__ = ["begin_renewal", "renew"]


def begin_renewal(center: Center, shown: Shown) -> RenewalChallenge:
    """A fresh challenge for a card; what the card shows may prove that the center has lost something.

    Raises RefusedError for a listed card [0030], and BehindError.
    """
    with center.session() as session:
        examine(center, session, shown)
    card = shown.card
    if is_listed(center, card):
        raise RefusedError(f"card {card} is listed: its credit information is not renewed")
    with center.session() as session:
        require_current(session)
        row = taken_in(center, session, shown)
        row.challenge, row.challenged = secrets.token_bytes(16), center.now
        return RenewalChallenge(row.challenge, row.seen, enough(session, row))


def renew(center: Center, attested: Attested, records: list[HistoryRecord]) -> Renewal:
    """Check the attested state and the history behind it, take both over, and sign new credit.

    Raises RefusedError with the reason; the challenge of a card that is not listed is used up either way.
    """
    card = attested.attestation.body.card
    if is_listed(center, card):
        raise RefusedError(f"card {card} is listed: its credit information is not renewed")
    state, challenged = _authentic(center, card, attested)
    with center.ordered() as session:
        row = center.row(session, card)
        take_over_records(center, session, row, state, records)
        row.attestation, row.attested = attested.attestation.raw, challenged
        row.credit_serial = max(row.credit_serial, state.credit)
        credit = center.issue_credit(session, row, seen=state.record)
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
