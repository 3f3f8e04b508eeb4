"""Sales amount store (32) and sales history store (33) of a POS.

They follow the history of the merchant's card, which is the truth: a POS that died between receiving
money and writing it down catches up from the card, and counts no sale twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, LargeBinary, create_engine, func, select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from apdu.errors import MisbehaviourError, StoreError
from apdu.identity import CardId
from apdu.objects import HistoryRecord, Kind
from host.files import create_whole, make_folder
from host.session import PurseSession

__all__ = ["Sale", "SalesStore"]


class _Tables(DeclarativeBase):
    pass


class _SaleRow(_Tables):
    __tablename__ = "sales"
    merchant: Mapped[bytes] = mapped_column(LargeBinary(6), primary_key=True)
    record: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    customer: Mapped[bytes] = mapped_column(LargeBinary(6))
    counter: Mapped[int]
    amount: Mapped[int]
    date: Mapped[int]


class _MarkRow(_Tables):
    """Up to which record of a merchant's card the sales are taken over."""

    __tablename__ = "marks"
    merchant: Mapped[bytes] = mapped_column(LargeBinary(6), primary_key=True)
    record: Mapped[int]


class _GapRow(_Tables):
    """How many records a merchant's card had overwritten before they were taken over."""

    __tablename__ = "gaps"
    merchant: Mapped[bytes] = mapped_column(LargeBinary(6), primary_key=True)
    records: Mapped[int]


@dataclass(frozen=True, slots=True)
class Sale:
    """One sale: record of the merchant's card, customer, amount in minor units, date (the card's)."""

    record: int
    customer: CardId
    amount: int
    date: int


class SalesStore:
    """Stores 32 and 33 in one SQLite file; every method raises StoreError when it is damaged, or in use for long."""

    def __init__(self, path: Path) -> None:
        """Open or make the file."""
        make_folder(path.parent)
        with suppress(FileExistsError):
            create_whole(path, b"")  # its owner's alone; SQLite gives its journal the mode that it finds
        self._path, self._engine = path, create_engine(URL.create("sqlite", database=str(path)))
        try:
            with self._session() as session:
                _Tables.metadata.create_all(session.connection())
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """A transaction: all of the block, or nothing."""
        try:
            with Session(self._engine) as session, session.begin():
                yield session
        except OperationalError as error:  # in use, or the disk is full: not the content's fault
            raise StoreError(f"{self._path}: the sales stores cannot be used now: {error.orig}") from None
        except DBAPIError as error:
            text = "put the file aside to begin new ones"
            raise StoreError(f"{self._path}: the sales stores cannot be used: {error.orig}; {text}") from None

    def update(self, merchant: PurseSession) -> int:
        """S312: take over all records of the merchant's card since the last time; returns how many sales.

        What the card has overwritten since is counted by ``missing``. Raises MisbehaviourError when the card's
        records do not go on from those taken over before.
        """
        newest = merchant.get_counters().record
        with self._session() as session:
            mark = session.get(_MarkRow, bytes(merchant.card)) or _MarkRow(merchant=bytes(merchant.card), record=0)
            behind = newest - mark.record
            records = [merchant.read_record(age) for age in range(min(behind, merchant.get_capacities().history))]
            if behind < 0 or any(record.number != newest - age for age, record in enumerate(records)):
                raise MisbehaviourError(f"card {merchant.card}: its records do not go on from record {mark.record}")
            sales = [_row(merchant.card, record) for record in records if record.kind is Kind.RECEIVED]
            session.add_all(sales)
            mark.record = newest
            session.add(mark)
            _note_gap(session, merchant.card, behind - len(records))
        return len(sales)

    def missing(self, merchant: CardId) -> int:
        """How many records the card had overwritten before they were taken over: sales in them are not counted."""
        with self._session() as session:
            gap = session.get(_GapRow, bytes(merchant))
            return gap.records if gap else 0

    def amount(self, merchant: CardId) -> int:
        """Sales amount store (32): the sum of all sales but those in ``missing`` records, in minor units."""
        with self._session() as session:
            total = select(func.coalesce(func.sum(_SaleRow.amount), 0)).where(_SaleRow.merchant == bytes(merchant))
            return session.scalars(total).one()

    def history(self, merchant: CardId) -> list[Sale]:
        """Sales history store (33), newest first."""
        rows = select(_SaleRow).where(_SaleRow.merchant == bytes(merchant)).order_by(_SaleRow.record.desc())
        with self._session() as session:
            return [Sale(row.record, CardId(row.customer), row.amount, row.date) for row in session.scalars(rows)]

    def merchants(self) -> list[CardId]:
        """Merchants' cards that have sold something here."""
        with self._session() as session:
            return [CardId(raw) for raw in session.scalars(select(_MarkRow.merchant))]


def _note_gap(session: Session, merchant: CardId, records: int) -> None:
    if records:
        gap = session.get(_GapRow, bytes(merchant)) or _GapRow(merchant=bytes(merchant), records=0)
        gap.records += records
        session.add(gap)


def _row(merchant: CardId, record: HistoryRecord) -> _SaleRow:
    return _SaleRow(
        merchant=bytes(merchant),
        record=record.number,
        customer=bytes(record.other),
        counter=record.counter,
        amount=record.amount,
        date=record.date,
    )
