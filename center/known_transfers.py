"""What the database knows of some transfers, brought together from all its tables, with one query for each."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement, FromClause, Integer, and_, column, exists, select, values
from sqlalchemy.orm import InstrumentedAttribute, Session

from apdu.identity import CardId
from apdu.messages import Attestation, Outcome, Resolution, Signed
from apdu.objects import HistoryRecord, Kind
from center.case_evidence import Decision, Evidence
from center.contradictions import Told, Transfer
from center.history_rules import closed_requests
from center.models import CardRow, DecisionRow, GapRow, RecordRow, ResolutionRow

__all__ = ["Key", "KnownTransfers"]

Key = tuple[int, int]
"""A transfer: the payer's serial and counter."""


class KnownTransfers:
    """All that is known of some transfers: what is to be judged, and the evidence for it."""

    def __init__(self, session: Session, keys: list[Key]) -> None:
        """Read it; not more than some thousand at once, since databases bound the parameters of a query."""
        self.keys, self._session = keys, session
        self._records = self._read_records()
        decisions = select(DecisionRow).join(*_among(keys, DecisionRow.serial, DecisionRow.counter))
        self._decisions = {(row.serial, row.counter): row for row in session.scalars(decisions)}
        signed = select(ResolutionRow).join(*_among(keys, ResolutionRow.serial, ResolutionRow.counter))
        self._resolutions = {(row.serial, row.counter): row for row in session.scalars(signed)}
        self._states = self._read_states()
        self._gaps: dict[int, list[GapRow]] = defaultdict(list)
        for gap in session.scalars(select(GapRow).where(GapRow.serial.in_(self._states))):
            self._gaps[gap.serial].append(gap)

    def _read_records(self) -> dict[Key, list[RecordRow]]:
        found: dict[Key, list[RecordRow]] = defaultdict(list)
        number = RecordRow.kind, RecordRow.counter
        own = [(serial, kind, counter) for serial, counter in self.keys for kind in (Kind.PAID, Kind.REFUNDED)]
        for row in self._session.scalars(select(RecordRow).join(*_among(own, RecordRow.serial, *number))):
            found[row.serial, row.counter].append(row)
        theirs = [(serial, Kind.RECEIVED, counter) for serial, counter in self.keys]
        for row in self._session.scalars(select(RecordRow).join(*_among(theirs, RecordRow.other, *number))):
            found[row.other, row.counter].append(row)
        return found

    def _read_states(self) -> dict[int, Signed[Attestation]]:
        """The newest attested state of every card that has to do with the transfers, by serial."""
        records = [row for rows in self._records.values() for row in rows]
        serials = {serial for row in records for serial in (row.serial, row.other)}
        serials.update(serial for serial, _ in self.keys)
        rows = self._session.scalars(select(CardRow).where(CardRow.serial.in_(serials)))
        return {row.serial: Signed.decode(Attestation, row.attestation) for row in rows if row.attestation}

    def transfer(self, key: Key) -> Transfer:
        """One of the transfers, as it is judged."""
        serial, counter = key
        state, decision, resolution = self._states.get(serial), self._decisions.get(key), self._resolutions.get(key)
        return Transfer(
            frozenset(_told(row) for row in self._records[key]),
            passed=state is not None and state.body.counter >= counter and not self._lost(serial, counter),
            waiting=state is not None and counter in state.body.unsettled_counters,
            closed=any(self._closed(row) for row in self._records[key] if row.kind == Kind.PAID),
            decided=Outcome(decision.outcome) if decision else None,
            resolved=Outcome(resolution.outcome) if resolution else None,
        )

    def _closed(self, paid: RecordRow) -> bool:
        """Whether all is known that the payee has received up to the end of the request."""
        state = self._states.get(paid.other)
        lost = any(paid.request <= gap.request for gap in self._gaps[paid.other])
        return state is not None and paid.request <= closed_requests(state.body) and not lost

    def _lost(self, serial: int, counter: int) -> bool:
        """Whether the payment may lie in a gap: not after one that is above it, nor before one that is below it."""
        for gap in self._gaps[serial]:
            paid = select(RecordRow.number).where(RecordRow.serial == serial, RecordRow.kind == Kind.PAID)
            above = paid.where(RecordRow.number < gap.first, RecordRow.counter >= counter)
            below = paid.where(RecordRow.number > gap.last, RecordRow.counter <= counter)
            if not self._session.scalar(select(exists(above.union_all(below).subquery()))):
                return True
        return False

    def evidence(self, issuer: int, key: Key) -> Evidence:
        """The evidence about one of the transfers."""
        records = self._records[key]
        decision, resolution = self._decisions.get(key), self._resolutions.get(key)
        serials = dict.fromkeys([key[0], *(serial for row in records for serial in (row.serial, row.other))])
        return Evidence(
            tuple((CardId.of(issuer, row.serial), _record(issuer, row)) for row in records),
            tuple(self._states[serial] for serial in serials if serial in self._states),
            (Decision(Outcome(decision.outcome), decision.order),) if decision else (),
            (Signed.decode(Resolution, resolution.signed),) if resolution else (),
        )


def _among(
    wanted: Sequence[tuple[int, ...]], *columns: InstrumentedAttribute[int]
) -> tuple[FromClause, ColumnElement[bool]]:
    """What to join for the rows that have these numbers in these columns.

    A comparison with a list of rows, as in ``(a, b) IN (VALUES ...)``, lets SQLite read the whole table.
    """
    names = [column(f"wanted_{place}", Integer) for place in range(len(columns))]
    table = values(*names, name="wanted").data([tuple(map(int, row)) for row in wanted]).cte()
    return table, and_(*(held == table.c[name.name] for held, name in zip(columns, names, strict=True)))


def _told(row: RecordRow) -> Told:
    payee = row.serial if row.kind == Kind.RECEIVED else row.other
    return Told(Kind(row.kind), payee, row.request, row.amount)


def _record(issuer: int, row: RecordRow) -> HistoryRecord:
    """The record as the card has it; its history names cards of its own issuer alone (``center.history_rules``)."""
    other = CardId.of(issuer, row.other)
    return HistoryRecord(row.number, Kind(row.kind), other, row.counter, row.request, row.amount, row.balance, row.date)
