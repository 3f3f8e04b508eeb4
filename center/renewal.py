"""Renewal of credit information, fig. 7, with the reconciliation that it brings: only for cards not listed.

Theory of operation. All that is judged, all that is taken in and all that is signed is one transaction in the
center's order. So a theft report comes before a renewal, and refuses it, or after it, and finds the credit signed;
nothing comes between a check and the signature that rests on it. What the card has attested goes with the order of
the challenge that it answers: the card cannot have signed before the challenge was given out, and so not before
anything that the center knew then.

A renewal that is refused for what the card has attested leaves the attestation and the records behind: the
transaction that would have signed is undone, and another keeps the evidence (``center.cases``).

A card's life ends on the same ground: the order to terminate is signed in the transaction that has just taken its
attested state in, and only for a card that holds nothing and waits for nothing.
"""

import secrets
from collections.abc import Callable
from hmac import compare_digest
from typing import TypeVar

from sqlalchemy.orm import Session

from apdu.errors import AuthenticityError, RefusedError
from apdu.identity import CardId, LifeCycle
from apdu.messages import Attestation, Certificate, Signed, TerminateOrder
from apdu.objects import HistoryRecord
from center.cases import keep_refused
from center.center import Center
from center.clock import start_for
from center.evidence import enough, examine, taken_in
from center.history import WrongHistoryError, take_over_records
from center.keys import ORDERS_KEY
from center.models import CardRow, ListedRow
from center.resolution import resolve
from center.standing import ORDER, mark, require_current
from host.session import Attested
from host.terminal.line import Renewal, RenewalChallenge, Shown

__all__ = ["begin_renewal", "renew", "terminate_order"]

T = TypeVar("T")

_TERMINATE_WITHIN = 3600
"""Seconds that an order to terminate is good for: the card is in the terminal that asks for it."""


def begin_renewal(center: Center, shown: Shown) -> RenewalChallenge:
    """A fresh challenge for a card; what the card shows may prove that the center has lost something.

    Raises RefusedError for a listed card [0030], and BehindError.
    """
    with center.session() as session:
        examine(center, session, shown)
    with center.session() as session:
        _refuse_listed(session, shown.card)
        require_current(session)
        row = taken_in(center, session, shown)
        row.challenge, row.challenged = secrets.token_bytes(16), mark(session, ORDER)
        return RenewalChallenge(row.challenge, row.seen, enough(session, row))


def renew(center: Center, attested: Attested, records: list[HistoryRecord]) -> Renewal:
    """Check the attested state and the history behind it, take both over, and sign new credit.

    Raises RefusedError with the reason; the challenge of a card that is not listed is used up either way.
    """

    def sign(session: Session, row: CardRow, state: Attestation) -> Renewal:
        """New credit, and what became of the transfers that wait."""
        row.credit_serial = max(row.credit_serial, state.credit)
        credit = center.issue_credit(session, row, seen=state.record, card_date=state.date)
        resolutions = [resolve(center, session, row, counter) for counter in state.unsettled_counters]
        return Renewal(credit, tuple(resolution for resolution in resolutions if resolution))

    return _on_attested(center, attested, records, sign)


def terminate_order(center: Center, attested: Attested, records: list[HistoryRecord]) -> Signed[TerminateOrder]:
    """The order that ends a card's life, for one that has just attested that it is empty.

    Raises RefusedError with the reason, as ``renew``, and for a card with money or with unsettled transfers.
    """

    def sign(session: Session, row: CardRow, state: Attestation) -> Signed[TerminateOrder]:
        """The order, for a card that holds nothing and waits for nothing."""
        if state.balance or state.unsettled_counters:
            raise RefusedError(f"card {state.card} is not empty: deposit its money and finish its transfers first")
        expiry = start_for(session, center.signing_time(session), state.date) + _TERMINATE_WITHIN
        return center.sign(session, TerminateOrder(ORDERS_KEY, center.card_id(row.serial), expiry))

    return _on_attested(center, attested, records, sign)


def _on_attested(
    center: Center,
    attested: Attested,
    records: list[HistoryRecord],
    sign: Callable[[Session, CardRow, Attestation], T],
) -> T:
    """Take an attested state in and sign what rests on it, in one transaction."""
    card = attested.attestation.body.card
    try:
        with center.ordered() as session:
            _refuse_listed(session, card)
            row = center.row(session, card)
            state = _authentic(row, attested)
            row.attested, row.challenge = row.challenged, None
            take_over_records(center, session, row, attested.attestation, records)
            return sign(session, row, state)
    except RefusedError as error:
        _use_up(center, card)
        if isinstance(error, WrongHistoryError):
            with center.ordered() as session:
                keep_refused(session, attested, records)
        raise


def _refuse_listed(session: Session, card: CardId) -> None:
    if session.get(ListedRow, card.serial) is not None:
        raise RefusedError(f"card {card} is listed: its credit information is not renewed")


def _use_up(center: Center, card: CardId) -> None:
    """Nobody tries a challenge twice, whatever became of the first try; a listed card's is left alone."""
    with center.session() as session:
        row = session.get(CardRow, card.serial) if card.issuer == center.issuer else None
        if row is not None and session.get(ListedRow, card.serial) is None:
            row.challenge = None


def _authentic(row: CardRow, attested: Attested) -> Attestation:
    """The attestation, if it is this card's answer to the newest challenge that was given out."""
    card = attested.attestation.body.card
    if row.certificate is None or row.certificate != attested.certificate.raw:
        raise RefusedError(f"card {card} shows a certificate that it was not given")
    try:
        state = attested.attestation.verify(Signed.decode(Certificate, row.certificate).body.point)
    except AuthenticityError:
        raise RefusedError(f"card {card}: the attestation is not signed by it") from None
    if row.challenge is None or not compare_digest(row.challenge, state.challenge):
        raise RefusedError(f"card {card}: the attestation does not answer the challenge")
    if state.state is not LifeCycle.ACTIVE:
        raise RefusedError(f"card {card} is {state.state.text}: its credit information is not renewed")
    return state
