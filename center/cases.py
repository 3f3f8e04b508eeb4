"""Cases: what does not agree, with its evidence; found as records come in, and never thrown away.

Theory of operation. Whatever a renewal brings is compared in its own transaction, after it was taken in. What can have
changed by it is every transfer

1. that one of the new records tells of, on either side;
2. that the card as payer waited for before and does not any more;
3. that others have received under a counter that the card's attested one has now gone past;
4. that others have paid to the card for a request that is closed now.

Each is brought together whole, from all that is known of it, and judged by ``center.contradictions``. A decision is
judged in the same way when it is made. All look-ups go by indexes over cards and numbers, so what this costs grows
with what comes in, and not with what is there. What a kind has found about a transfer is one case; what comes in about
it later is put beside the evidence that is there.

A renewal that is refused, because the card's history does not go with what the card has attested before, is a case as
well: the refused state and records are kept beside the state that they contradict (``keep_refused``). The same state
is kept once, however often it is handed in.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from apdu.errors import InputError
from apdu.identity import CardId
from apdu.messages import Attestation, Signed
from apdu.objects import HistoryRecord, Kind
from center.case_evidence import Evidence
from center.contradictions import contradictions
from center.history_rules import closed_requests
from center.known_transfers import Key, KnownTransfers
from center.models import CardRow, CaseRow, RecordRow
from center.standing import ORDER
from host.session import Attested

__all__ = ["REFUSED", "Case", "cases", "compare", "judge", "keep_refused"]

REFUSED = "renewal-refused"
"""The kind of a case about a card and not about a transfer: its history is none that the card could have."""

_MOST = 1000
"""Transfers that are looked up at once: databases bound the parameters of a query."""


@dataclass(frozen=True, slots=True)
class Case:
    """A case: its number, its place in the center's order, what does not agree, and in which transfer of the payer.

    ``counter`` is 0, and ``card`` the card that was refused, for the kind REFUSED.
    """

    number: int
    order: int
    kind: str
    card: CardId
    counter: int
    evidence: Evidence


def cases(session: Session, issuer: int, number: int | None = None) -> list[Case]:
    """All cases, the first one first; or one of them. Raises InputError for a number that no case has."""
    wanted = select(CaseRow).order_by(CaseRow.number)
    rows = session.scalars(wanted if number is None else wanted.where(CaseRow.number == number)).all()
    if number is not None and not rows:
        raise InputError(f"there is no case {number}: saifu center cases lists them")
    return [
        Case(row.number, row.order, row.kind, CardId.of(issuer, row.serial), row.counter, Evidence.decode(row.evidence))
        for row in rows
    ]


def compare(session: Session, before: Attestation | None, state: Attestation, records: list[HistoryRecord]) -> None:
    """Judge every transfer that a card's new state and records touch; both are in the session already."""
    judge(session, state.card.issuer, _touched(session, before, state, records))


def judge(session: Session, issuer: int, transfers: Iterable[Key]) -> None:
    """Keep what does not agree in these transfers; in a transaction of the center's order."""
    keys = sorted(set(transfers))
    for first in range(0, len(keys), _MOST):
        known = KnownTransfers(session, keys[first : first + _MOST])
        for key in known.keys:
            for kind in contradictions(known.transfer(key)):
                _keep(session, kind, key, known.evidence(issuer, key))


def keep_refused(session: Session, attested: Attested, records: list[HistoryRecord]) -> None:
    """Keep what a card has handed in that it could not have attested; in a transaction of the center's order."""
    state = attested.attestation.body
    known = session.get_one(CardRow, state.card.serial)
    before = () if known.attestation is None else (Signed.decode(Attestation, known.attestation),)
    told = tuple((state.card, record) for record in records)
    for row in session.scalars(_case(REFUSED, (known.serial, 0))):
        if state.chain in {signed.body.chain for signed in Evidence.decode(row.evidence).attestations[-1:]}:
            return
    session.add(_row(session, REFUSED, (known.serial, 0), Evidence(told, (*before, attested.attestation))))


def _touched(
    session: Session, before: Attestation | None, state: Attestation, records: list[HistoryRecord]
) -> Iterator[Key]:
    """The transfers of the module's text, in its order."""
    serial = state.card.serial
    for record in records:
        yield (record.other.serial if record.kind is Kind.RECEIVED else serial), record.counter
    for counter in set(before.unsettled_counters if before else ()) - set(state.unsettled_counters):
        yield serial, counter
    others = select(RecordRow.serial, RecordRow.counter).where(RecordRow.other == serial)
    received = others.where(RecordRow.kind == Kind.RECEIVED)
    reached = (before.counter if before else 0) + 1, state.counter
    for _, counter in session.execute(received.where(RecordRow.counter.between(*reached))):
        yield serial, counter
    paid = others.where(RecordRow.kind == Kind.PAID)
    closed = closed_requests(before) + 1, closed_requests(state)
    for payer, counter in session.execute(paid.where(RecordRow.request.between(*closed))):
        yield payer, counter


def _case(kind: str, key: Key) -> Select[CaseRow]:
    serial, counter = key
    return select(CaseRow).where(CaseRow.serial == serial, CaseRow.counter == counter, CaseRow.kind == kind)


def _row(session: Session, kind: str, key: Key, evidence: Evidence) -> CaseRow:
    serial, counter = key
    return CaseRow(order=session.info[ORDER], kind=kind, serial=serial, counter=counter, evidence=evidence.encode())


def _keep(session: Session, kind: str, key: Key, evidence: Evidence) -> None:
    row = session.scalars(_case(kind, key)).first()
    if row is None:
        session.add(_row(session, kind, key, evidence))
        session.flush()
    else:
        row.evidence = Evidence.decode(row.evidence).joined(evidence).encode()
