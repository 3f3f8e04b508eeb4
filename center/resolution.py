"""Resolution of unsettled transfers in the payee's place: by the payee's own word, or by an operator's decision.

Theory of operation. A payment with the request number n has a record in the payer's history, which the center took
in with some order p. Whether its payee ever credits the value is judged from the payee's attested state a: the
newest request r that it has opened, whether that is still open, and its whole history up to there. The center says
*received* when that history has the value. It says *never received* in two cases alone:

1. r > n, or r = n and the request is closed. A payee credits a value for an open request only, requests are opened
   with rising numbers, and opening one closes the one before. What was not credited until a cannot be any more.
2. r < n, and the payee has signed a after the center had the payer's record. The value names request n and the
   nonce that came with it. When the payer paid, the payee had not opened n: it opens n after a, which was signed
   after p, which was after the payment; and a nonce is drawn when a request is opened. So the request that was paid
   was made up by somebody, and the n that the payee will open has another nonce and never takes this value.

That a was signed after p is told by order alone: a answers a challenge, which the center gave out when its order
had come to c, and no card can have signed an answer before that. So c >= p is wanted. Of clocks nothing is asked: the
time at which either came in says nothing about when it was signed, and a clock may be set.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from apdu.errors import RefusedError
from apdu.identity import CardId
from apdu.messages import Attestation, Outcome, Resolution, Signed
from apdu.objects import Kind
from center.cases import judge
from center.center import Center
from center.keys import ORDERS_KEY
from center.models import CardRow, DecisionRow, GapRow, RecordRow, ResolutionRow
from center.standing import ORDER

__all__ = ["decide", "resolve"]


def resolve(center: Center, session: Session, row: CardRow, counter: int) -> Signed[Resolution] | None:
    """Sign what became of a transfer of a card, if it is known or decided; None leaves it open."""
    outcome = _known(session, row.serial, counter) or _decided(session, row.serial, counter)
    if outcome is None:
        return None
    signed = center.sign(session, Resolution(ORDERS_KEY, center.card_id(row.serial), counter, outcome))
    told = ResolutionRow(serial=row.serial, counter=counter, outcome=outcome, signed=signed.raw)
    told.order = session.info[ORDER]
    session.merge(told)
    return signed


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
            row.order = session.info[ORDER]
            session.add(row)
            session.flush()
            judge(session, card.issuer, [(card.serial, counter)])


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

    The two cases are those of the module's text. What lies in a gap of the payee's history may have been received.
    """
    in_gap = select(GapRow).where(GapRow.serial == payee.serial, GapRow.request >= paid.request)
    if payee.attestation is None or session.scalars(in_gap).first():
        return False
    state = Signed.decode(Attestation, payee.attestation).body
    closed = paid.request < state.request or (paid.request == state.request and not state.open)
    return closed or (paid.request > state.request and 0 < paid.order <= payee.attested)
