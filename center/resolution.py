"""Resolution of unsettled transfers in the payee's place: by the payee's own word, or by an operator's decision."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from apdu.errors import RefusedError
from apdu.identity import CardId
from apdu.messages import Attestation, Outcome, Resolution, Signed
from apdu.objects import Kind
from center.center import Center
from center.keys import ORDERS_KEY
from center.models import CardRow, DecisionRow, GapRow, RecordRow

__all__ = ["decide", "resolve"]


def resolve(center: Center, session: Session, row: CardRow, counter: int) -> Signed[Resolution] | None:
    """Sign what became of a transfer of a card, if it is known or decided; None leaves it open."""
    outcome = _known(session, row.serial, counter) or _decided(session, row.serial, counter)
    if outcome is None:
        return None
    return center.sign(session, Resolution(ORDERS_KEY, center.card_id(row.serial), counter, outcome))


def decide(center: Center, card: CardId, counter: int, outcome: Outcome, reason: str) -> None:
    """Decide about a transfer to a card that is lost, destroyed or terminated; the center bears the risk.

    It counts only as long as the payee's own word does not say otherwise. Raises RefusedError for a
    transfer that the center has no record of, or has decided otherwise.
    """
    with center.ordered() as session:
        center.row(session, card)
        if _record(session, card.serial, Kind.PAID, counter) is None:
            raise RefusedError(f"card {card} has shown no payment {counter}: renew its credit first (saifu atm renew)")
        decided = _decided(session, card.serial, counter)
        if decided not in (None, outcome):
            raise RefusedError(f"payment {counter} of card {card} is decided already, and otherwise")
        if decided is None:
            row = DecisionRow(serial=card.serial, counter=counter, outcome=outcome, reason=reason, date=center.now)
            session.add(row)


def _decided(session: Session, serial: int, counter: int) -> Outcome | None:
    decision = session.get(DecisionRow, (serial, counter))
    return None if decision is None else Outcome(decision.outcome)


def _record(session: Session, serial: int, kind: Kind, counter: int, other: int | None = None) -> RecordRow | None:
    wanted = select(RecordRow).where(RecordRow.serial == serial, RecordRow.kind == kind, RecordRow.counter == counter)
    return session.scalars(wanted if other is None else wanted.where(RecordRow.other == other)).first()


def _known(session: Session, payer: int, counter: int) -> Outcome | None:
    """What the payee's own word says: it has received the value, or it never can."""
    paid = _record(session, payer, Kind.PAID, counter)
    payee = session.get(CardRow, paid.other) if paid else None
    if paid is None or payee is None:
        return None
    if _record(session, payee.serial, Kind.RECEIVED, counter, payer):
        return Outcome.RECEIVED
    return Outcome.NEVER_RECEIVED if _never(session, payee, paid) else None


def _never(session: Session, payee: CardRow, paid: RecordRow) -> bool:
    """Whether the payee can never receive a value that its whole history, up to its attested state, has not.

    Its request is closed; or it was not opened yet when the payee attested, which was after the center had
    seen the payment: then the value was made for a request that somebody made up, and the one that will be
    opened under that number has another nonce. What lies in a gap of the payee's history may have been received.
    """
    in_gap = select(GapRow).where(GapRow.serial == payee.serial, GapRow.request >= paid.request)
    if payee.attestation is None or session.scalars(in_gap).first():
        return False
    state = Signed.decode(Attestation, payee.attestation).body
    closed = paid.request < state.request or (paid.request == state.request and not state.open)
    return closed or (paid.request > state.request and payee.attested > paid.uploaded)
