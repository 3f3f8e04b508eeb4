"""Sales amount store (32) and sales history store (33) of a POS, in one SQLite file.

A sale is what this POS has begun and the merchant's card has received. What else comes onto that card (a load at the
ATM, a remittance, a sale at another POS) is no sale of this one, and nothing on the card tells them apart; so a POS
keeps its own book, in three steps of one transaction each:

1. ``begin``, before PAY: the merchant's request, who is to pay how much, and the POS's time. From here on the file
   knows of the sale, whatever is cut. The pair of merchant and request names it: a purse counts its requests up, and
   receives for one of them at most once.
2. ``book``, when the money has arrived: what was begun becomes a sale, with the time at which it was begun, and is
   added to the total. The row moves, so a second ``book`` of the same finds nothing: a sale is counted once.
3. ``drop`` instead, when it is certain that nothing came and nothing will.

A POS that is cut in between finds the row when it is used again, and ``host.terminal.booking`` asks the merchant's card
how it ended. What the card cannot tell any more (its history goes round) is set ``in_doubt``: it is never counted, and
never forgotten.

The total is kept beside the sales and changed with them, so that a sale costs the same whatever is stored; histories
are read row by row. Numbers of sales give their order, never times. The file is in SQLite's WAL mode: who reads a long
history does not hold up the till. ``synchronous=FULL`` there writes each transaction to the disk before it is done; PAY
waits for that of ``begin``.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from apdu.errors import StoreError
from apdu.identity import CardId
from host.files import create_whole, make_folder

__all__ = ["Begun", "Sale", "SalesStore"]

_VERSION = 2
_PATIENCE = 5.0
"""Seconds to wait for another program that is writing."""
_ALL = -1
"""SQLite's LIMIT for every row."""

_TABLES = """
CREATE TABLE begun (
    number INTEGER PRIMARY KEY AUTOINCREMENT, merchant BLOB NOT NULL, request INTEGER NOT NULL, customer BLOB NOT NULL,
    amount INTEGER NOT NULL, time INTEGER NOT NULL, in_doubt INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE sales (
    merchant BLOB NOT NULL, number INTEGER NOT NULL, request INTEGER NOT NULL, customer BLOB NOT NULL,
    counter INTEGER NOT NULL, amount INTEGER NOT NULL, time INTEGER NOT NULL, PRIMARY KEY (merchant, number)
) WITHOUT ROWID;
CREATE TABLE totals (merchant BLOB PRIMARY KEY, sales INTEGER NOT NULL, amount INTEGER NOT NULL) WITHOUT ROWID;
"""
"""A number is never given twice, also when what was begun under it is dropped: that is what AUTOINCREMENT is for."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A sale that was begun and is not booked: amount in minor units, time in Unix seconds by the POS's clock."""

    request: int
    customer: CardId
    amount: int
    time: int
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Sale:
    """One sale: the merchant's request, customer and his counter, minor units, Unix seconds by the POS's clock."""

    request: int
    customer: CardId
    counter: int
    amount: int
    time: int


class SalesStore:
    """Stores 32 and 33; every method raises StoreError when the file is damaged, or in use for long."""

    def __init__(self, path: Path, patience: float = _PATIENCE) -> None:
        """Open or make the file; a store of another version is refused, and left as it is."""
        make_folder(path.parent)
        with suppress(FileExistsError):
            create_whole(path, b"")  # its owner's alone; SQLite gives its journals the mode that it finds
        self._path = path
        with self._told():
            self._database = sqlite3.connect(path, timeout=patience, isolation_level=None)
        try:
            self._open()
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _open(self) -> None:
        """Make the tables, unless they are there; then choose how it is written."""
        with self._change():
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if version == 0 and not tables:
                for statement in _TABLES.split(";"):
                    self._database.execute(statement)
                self._database.execute(f"PRAGMA user_version = {_VERSION}")
            elif version != _VERSION:
                raise StoreError(self._foreign(version))
        with self._told():
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")

    def _foreign(self, version: int) -> str:
        """What to do about a file of another version."""
        aside = self._path.with_name(f"{self._path.stem}-version-{version or 1}{self._path.suffix}")
        go_on = f"rename it to {aside.name}, which keeps it, and give the command again: new stores are begun"
        if version:
            return f"{self._path}: sales stores of version {version}, where this saifu has {_VERSION}; {go_on}"
        return (
            f"{self._path}: sales stores of an earlier version. They counted all that came onto a merchant's card, "
            f"loads and remittances too, which cannot be told apart any more; {go_on}"
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What SQLite says becomes a StoreError."""
        try:
            yield
        except sqlite3.OperationalError as error:  # in use, or the disk is full: not the content's fault
            raise StoreError(f"{self._path}: the sales stores cannot be used now: {error}") from None
        except sqlite3.DatabaseError as error:
            text = "put the file aside to begin new ones"
            raise StoreError(f"{self._path}: the sales stores cannot be used: {error}; {text}") from None

    @contextmanager
    def _change(self) -> Iterator[None]:
        """A transaction that writes: all of the block, or nothing."""
        with self._told():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it everything that is read belongs together, whatever is sold meanwhile."""
        with self._told():
            self._database.execute("BEGIN")
            try:
                yield
            finally:
                self._database.execute("ROLLBACK")

    def begin(self, merchant: CardId, sale: Begun) -> None:
        """Write down what is about to be sold; on the disk when this returns.

        Requests only grow. One of this number or above that was begun before comes from a card that has been put
        back to an older copy: how it ended, nobody can tell any more.
        """
        with self._change():
            self._database.execute(
                "UPDATE begun SET in_doubt = 1 WHERE merchant = ? AND request >= ?", (merchant, sale.request)
            )
            self._database.execute(
                "INSERT INTO begun (merchant, request, customer, amount, time) VALUES (?, ?, ?, ?, ?)",
                (merchant, sale.request, sale.customer, sale.amount, sale.time),
            )

    def begun(self, merchant: CardId) -> list[Begun]:
        """What was begun with a merchant's card and is not booked, oldest first."""
        with self._told():
            rows = self._database.execute(
                "SELECT request, customer, amount, time, in_doubt FROM begun WHERE merchant = ? ORDER BY number",
                (merchant,),
            )
            return [Begun(row[0], CardId(row[1]), row[2], row[3], bool(row[4])) for row in rows]

    def book(self, merchant: CardId, request: int, counter: int) -> bool:
        """Make a sale of what was begun with this request; False when there is none, or it is booked already.

        ``counter`` is the customer's.
        """
        named = {"merchant": merchant, "request": request, "counter": counter}
        mine = "FROM begun WHERE merchant = :merchant AND request = :request AND NOT in_doubt"
        with self._change():
            amount = self._database.execute(f"SELECT amount {mine}", named).fetchone()
            if amount is None:
                return False
            self._database.execute(
                f"INSERT INTO sales SELECT merchant, number, request, customer, :counter, amount, time {mine}", named
            )
            self._database.execute(
                "INSERT INTO totals VALUES (?, 1, ?) ON CONFLICT (merchant) DO UPDATE "
                "SET sales = sales + 1, amount = amount + excluded.amount",
                (merchant, *amount),
            )
            self._database.execute(f"DELETE {mine}", named)
        return True

    def drop(self, merchant: CardId, request: int) -> None:
        """Forget what was begun with this request: nothing came, and nothing will."""
        with self._change():
            self._database.execute(
                "DELETE FROM begun WHERE merchant = ? AND request = ? AND NOT in_doubt", (merchant, request)
            )

    def doubt(self, merchant: CardId, request: int) -> None:
        """Keep what was begun with this request as something that the card cannot tell any more."""
        with self._change():
            self._database.execute(
                "UPDATE begun SET in_doubt = 1 WHERE merchant = ? AND request = ?", (merchant, request)
            )

    def count(self, merchant: CardId) -> int:
        """How many sales there are."""
        return self._total(merchant)[0]

    def amount(self, merchant: CardId) -> int:
        """Sales amount store (32): the sum of all sales, in minor units."""
        return self._total(merchant)[1]

    def _total(self, merchant: CardId) -> tuple[int, int]:
        with self._told():
            row = self._database.execute("SELECT sales, amount FROM totals WHERE merchant = ?", (merchant,)).fetchone()
        return (row[0], row[1]) if row else (0, 0)

    def history(self, merchant: CardId, last: int | None = None) -> Iterator[Sale]:
        """Sales history store (33), newest first, read row by row; ``last``: so many of the newest."""
        with self._told():
            rows = self._database.execute(
                "SELECT request, customer, counter, amount, time FROM sales WHERE merchant = ? "
                "ORDER BY number DESC LIMIT ?",
                (merchant, _ALL if last is None else last),
            )
            for request, customer, counter, amount, time in rows:
                yield Sale(request, CardId(customer), counter, amount, time)

    def merchants(self) -> list[CardId]:
        """Merchants' cards with which something was begun here."""
        with self._told():
            rows = self._database.execute("SELECT merchant FROM totals UNION SELECT merchant FROM begun ORDER BY 1")
            return [CardId(raw) for (raw,) in rows]
