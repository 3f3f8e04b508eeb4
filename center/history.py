"""The histories of cards, as they come in: records must go on from what the center has, up to the attested state.

After a loss at the center a card may have no more some of the records that the center has seen and lost. Its history
then begins with the oldest record that it still has, if the center once signed that it had seen all before that one.
What is missing is kept as a gap: a receipt may lie in it.
"""

from hashlib import sha256

from sqlalchemy.orm import Session

from apdu.errors import RefusedError
from apdu.identity import CardId
from apdu.messages import Attestation, Signed
from apdu.objects import HistoryRecord, Kind
from center.cases import compare
from center.center import Center
from center.evidence import enough
from center.history_rules import impossible
from center.models import CardRow, GapRow, RecordRow, RemindedRow
from center.standing import ORDER

__all__ = ["WrongHistoryError", "take_over_records"]


class WrongHistoryError(RefusedError):
    """What a card has attested, and its records, cannot both be what a card has done: a clone, or a broken card."""


def take_over_records(
    center: Center, session: Session, row: CardRow, attestation: Signed[Attestation], records: list[HistoryRecord]
) -> None:
    """Check the records against what the center has and the attested state, and keep both; raises WrongHistoryError.

    What then does not agree with what others have told becomes a case.
    """
    state = attestation.body
    before = None if row.attestation is None else Signed.decode(Attestation, row.attestation).body
    first = records[0].number if records else state.record + 1
    lost = row.seen + 1 < first <= enough(session, row) + 1
    if lost:
        _check_what_is_left(state, first, records)
        session.merge(GapRow(serial=row.serial, first=row.seen + 1, last=first - 1, request=state.request))
    else:
        _check(row, state, records)
    if wrong := impossible(before, records, state, whole=not lost):
        raise WrongHistoryError(f"card {state.card}: {wrong}")
    session.add_all(_record_row(state.card, record, center.now, session.info[ORDER]) for record in records)
    if reminded := session.get(RemindedRow, row.serial):
        session.delete(reminded)
    row.seen, row.chain, row.balance, row.attestation = state.record, state.chain, state.balance, attestation.raw
    session.flush()
    compare(session, before, state, records)


def _check(row: CardRow, state: Attestation, records: list[HistoryRecord]) -> None:
    """The records must go on from what the center has, and lead to the attested chain and balance."""
    chain = row.chain
    for record in records:
        chain = sha256(chain + record.encode()).digest()
    balance = _balance(state.card, row.seen, row.balance, records)
    if (chain, balance, row.seen + len(records)) != (state.chain, state.balance, state.record):
        raise WrongHistoryError(f"card {state.card}: its history does not go on from what the center has: a clone?")


def _check_what_is_left(state: Attestation, first: int, records: list[HistoryRecord]) -> None:
    """Without the chain before them: the records must follow each other, and lead to the attested balance."""
    before = records[0].balance - _change(records[0]) if records else state.balance
    balance = _balance(state.card, first - 1, before, records)
    if (balance, first - 1 + len(records)) != (state.balance, state.record):
        raise WrongHistoryError(f"card {state.card}: its records do not lead to what it attests")


def _balance(card: CardId, seen: int, balance: int, records: list[HistoryRecord]) -> int:
    """The balance after the last record; every one must have the next number and the balance that it makes."""
    for number, record in enumerate(records, seen + 1):
        if record.number != number:
            raise WrongHistoryError(f"card {card}: record {number} is missing")
        balance += _change(record)
        if balance != record.balance:
            raise WrongHistoryError(f"card {card}: the balance in record {number} is not what it must be")
    return balance


def _change(record: HistoryRecord) -> int:
    return -record.amount if record.kind is Kind.PAID else record.amount


def _record_row(card: CardId, record: HistoryRecord, uploaded: int, order: int) -> RecordRow:
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
        order=order,
    )
