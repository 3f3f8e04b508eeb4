"""The center as one object: a folder with its database, its keys and its float."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Self

from sqlalchemy import URL, Engine, create_engine, event, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from apdu.errors import InputError, RefusedError, StoreError
from apdu.identity import CardId, Role
from apdu.messages import BodyT, Certificate, Credit, Signed
from apdu.money import Currency
from apdu.objects import CenterKey
from center.clock import Clock, confirm, read_clock, signing_time, start_for
from center.keys import CERTIFICATION_KEY, ORDERS_KEY, CenterKeys
from center.models import CardRow, FloatRow, SettingRow
from center.schema import bring_up_to_date, create
from center.settings import Settings
from center.standing import (
    OLD_HIGH_WATER,
    ORDER,
    PASSED_SERIAL,
    SERIAL,
    BehindError,
    Finding,
    Witnesses,
    behind_text,
    learn,
    mark,
    marks,
    note,
    open_findings,
    raise_mark,
    require_current,
    take_over,
)
from host.files import PRIVATE, make_folder, write_whole
from host.sealed_file import SCRYPT_COST
from host.terminal.trust import Trust

__all__ = ["Center"]

_DAY = 86400
_DATE_MAX = 0xFFFFFFFF
_WITNESSED = "witnessed"
"""Mark: 1 since the center has had a witness outside of its folder."""


class _NewlyFoundError(BehindError):
    """The witnesses tell that the center is behind, in the middle of a transaction, which keeps nothing."""

    def __init__(self, found: list[Finding]) -> None:
        """Say the first, keep all."""
        super().__init__(behind_text(found[0]))
        self.found = found


def _engine(database: Path) -> Engine:
    """SQLite whose transactions lock from their start: what a block has read holds until it has written."""
    engine = create_engine(URL.create("sqlite", database=str(database)))
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


class Center:
    """Registry and certificates; editions, renewal and the float build on it."""

    def __init__(
        self, folder: Path, keys: CenterKeys, clock: Callable[[], float] = time.time, witness: Path | None = None
    ) -> None:
        """Open a center with keys that are unlocked already; ``witness`` as for ``create``. Raises StoreError."""
        self.folder, self.keys, self._clock = folder, keys, clock
        self.witnesses = Witnesses(folder, keys.public, witness)
        self._require(folder)
        self._engine = _engine(self._database(folder))
        self._bring_up_to_date()
        with self.session() as session:
            row = session.get(SettingRow, "settings")
        if row is None:
            raise StoreError(f"{folder}: the center's database has no settings: take the copy that you keep")
        self.settings = Settings.decode(row.value)
        self._look()

    def _bring_up_to_date(self) -> None:
        try:
            bring_up_to_date(self._engine, self._database(self.folder))
        except DBAPIError as error:
            raise StoreError(f"{self.folder}: the center's database cannot be used: {error.orig}") from None

    @classmethod
    def exists(cls, folder: Path) -> bool:
        """Whether there is a center in a folder."""
        return cls._database(folder).exists()

    @classmethod
    def _require(cls, folder: Path) -> None:
        if not cls.exists(folder):
            raise StoreError(
                f"{folder}: there is no center here; if there was one, put its newest copy back "
                "(docs/how-to/backup-and-restore.md); for a new one: saifu center init"
            )

    @property
    def database(self) -> Path:
        """The database's file."""
        return self._database(self.folder)

    @staticmethod
    def _database(folder: Path) -> Path:
        return folder / "center.sqlite"

    @classmethod
    def create(
        cls,
        folder: Path,
        settings: Settings,
        passphrase: bytes,
        clock: Callable[[], float] = time.time,
        cost: int = SCRYPT_COST,
        witness: Path | None = None,
    ) -> Self:
        """Set a new center up; raises InputError when the folder is not empty.

        ``cost`` is Scrypt's N; ``witness`` the folder for the outer witness, if not the one of ``witness_folder``.
        """
        if folder.exists() and any(folder.iterdir()):
            raise InputError(f"{folder}: there is something here already; it is never overwritten")
        make_folder(folder, 0o700)
        keys = CenterKeys.generate()
        keys.write(folder, passphrase, cost)
        partial = folder / "center.sqlite.new"
        write_whole(partial, b"", PRIVATE)  # SQLite gives its journal the mode that it finds
        engine = _engine(partial)
        create(engine)
        with Session(engine) as session, session.begin():
            session.add(SettingRow(name="settings", value=settings.encode()))
        engine.dispose()
        trust = Trust(settings.issuer, settings.unit, keys.public)
        write_whole(folder / "trust.json", trust.encode().encode())
        partial.replace(cls._database(folder))
        return cls(folder, keys, clock, witness)

    @classmethod
    def open(
        cls, folder: Path, passphrase: bytes, clock: Callable[[], float] = time.time, witness: Path | None = None
    ) -> Self:
        """Open a center; raises InputError for a wrong passphrase, StoreError when there is none."""
        cls._require(folder)
        return cls(folder, CenterKeys.read(folder, passphrase), clock, witness)

    def _look(self) -> None:
        """Compare the database with its witnesses, as it is opened; what is found is kept.

        A center of an earlier version has no witness yet, and gets one.
        """
        with self.session() as session:
            if open_findings(session):
                return
            witnessed = bool(mark(session, _WITNESSED))
            if not witnessed:
                take_over(self.folder, session)
            found = self.witnesses.found(marks(session), witnessed=witnessed)
            self._keep(session, found)
            if not found:
                known = marks(session)
                self.witnesses.catch_up(replace(known, confirmed=known.announced))
            raise_mark(session, _WITNESSED, 1)
        (self.folder / OLD_HIGH_WATER).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A database transaction: all of the block, or nothing; one at a time, whoever asks.

        Raises StoreError when the database is damaged, or in use for too long.
        """
        try:
            with Session(self._engine, expire_on_commit=False) as session, session.begin():
                yield session
        except DBAPIError as error:
            raise StoreError(f"{self.folder}: the center's database cannot be used: {error.orig}") from None

    @contextmanager
    def ordered(self, *, while_behind: bool = False) -> Iterator[Session]:
        """A transaction that gives something out or decides something, with the next number of the center's order.

        The witnesses hear of it before it commits. Raises BehindError, and keeps why, when the center is behind;
        what may go on ``while_behind`` is then done without a witness.
        """
        try:
            with self.session() as session:
                behind = while_behind and bool(open_findings(session))
                if not behind:
                    self._require_current(session)
                order = raise_mark(session, ORDER, mark(session, ORDER) + 1)
                session.info[ORDER] = order
                yield session
                session.flush()
                if not behind:
                    self.witnesses.announce(replace(marks(session), confirmed=order - 1))
        except _NewlyFoundError as error:
            self.keep(error.found)
            raise BehindError(str(error)) from None
        if not behind:
            self.witnesses.confirm(order)

    def _require_current(self, session: Session) -> None:
        require_current(session)
        if found := self.witnesses.found(marks(session), witnessed=True):
            raise _NewlyFoundError(found)

    def keep(self, found: Iterable[Finding]) -> None:
        """Keep findings, and what the witnesses tell as given out: from now on the center is behind."""
        with self.session() as session:
            self._keep(session, found)

    def _keep(self, session: Session, found: Iterable[Finding]) -> None:
        for finding in found:
            note(session, finding)
            learn(session, self.witnesses.told())

    def sign(self, session: Session, body: BodyT) -> Signed[BodyT]:
        """Sign a body, in a transaction of the center's order and no other."""
        if ORDER not in session.info:
            raise RuntimeError("what a center signs, it signs in its order")
        return self.keys.sign(body)

    @property
    def now(self) -> int:
        """What the center's clock says, in Unix seconds; nothing is ordered by it."""
        return int(self._clock())

    def signing_time(self, session: Session) -> int:
        """The time to sign, which is kept as the newest; raises ClockError (see ``center.clock``)."""
        return signing_time(session, self.now)

    def clock(self) -> Clock:
        """What the clock says, and whether the center signs by it."""
        with self.session() as session:
            return read_clock(session, self.now)

    @property
    def is_behind(self) -> bool:
        """Whether the center has found out that something of it is an older copy, and was not recovered since."""
        with self.session() as session:
            return bool(open_findings(session))

    def confirm_clock(self) -> None:
        """Take the clock as it is: an operator has looked, and says that it is right."""
        with self.session() as session:
            confirm(session, self.now)

    @property
    def issuer(self) -> int:
        """The issuer's number."""
        return self.settings.issuer

    @property
    def unit(self) -> Currency:
        """The issuer's currency."""
        return self.settings.unit

    @property
    def trust(self) -> Trust:
        """What terminals must know."""
        return Trust(self.issuer, self.settings.unit, self.keys.public)

    @property
    def public_keys(self) -> tuple[CenterKey, ...]:
        """What cards must know."""
        return self.keys.public

    def card_id(self, serial: int) -> CardId:
        """The ID of a serial of this issuer."""
        return CardId.of(self.issuer, serial)

    def row(self, session: Session, card: CardId) -> CardRow:
        """The registry's row of a card; raises RefusedError for a card that is not this center's."""
        row = session.get(CardRow, card.serial) if card.issuer == self.issuer else None
        if row is None:
            raise RefusedError(f"card {card} is not in this center's registry")
        return row

    def allot(self, role: Role, holder: str) -> CardId:
        """Give out the next serial: serials are dense, since a list of dense numbers is short.

        Raises RefusedError for a second float: personalization must not be able to make money.
        """
        with self.ordered() as session:
            if role is Role.FLOAT and not _wants_float(session):
                raise RefusedError("this center has its float already")
            serial = raise_mark(session, SERIAL, mark(session, SERIAL) + 1)
            card = self.card_id(serial)
            chain = sha256(card).digest()
            session.add(CardRow(serial=serial, role=role, holder=holder, allotted=self.now, chain=chain))
        return card

    def is_certified(self, card: CardId) -> bool:
        """Whether an ID has been given its key and certificate."""
        with self.session() as session:
            return self.row(session, card).certificate is not None

    def certify(self, card: CardId, point: bytes) -> tuple[Signed[Certificate], Signed[Credit]]:
        """Certificate and first credit for a card's public key, once: an ID has one key for ever.

        Raises RefusedError for an ID that was certified before, or may have been before the center was recovered; a
        card that was not finished gets a new ID.
        """
        with self.ordered() as session:
            row = self.row(session, card)
            if row.certificate is not None:
                raise RefusedError(f"card {card} was certified before: a card that was not finished gets a new ID")
            if row.serial <= mark(session, PASSED_SERIAL):
                raise RefusedError(f"card {card} was given out before the center was recovered: it gets a new ID")
            role = Role(row.role)
            expiry = min(self.signing_time(session) + self.settings.certificate_days * _DAY, _DATE_MAX)
            certificate = self.sign(session, Certificate(CERTIFICATION_KEY, card, role, expiry, point))
            row.certificate = certificate.raw
            return certificate, self.issue_credit(session, row, seen=0)

    def issue_credit(self, session: Session, row: CardRow, seen: int, card_date: int = 0) -> Signed[Credit]:
        """Sign the next credit information for a card; ``card_date`` is what the card attests, in Unix seconds."""
        row.credit_serial += 1
        terms, issued = self.settings.terms[Role(row.role)], self.signing_time(session)
        expiry = terms.expiry(start_for(session, issued, card_date))
        card = self.card_id(row.serial)
        credit = Credit(ORDERS_KEY, card, row.credit_serial, issued, expiry, terms.count, terms.amount, seen)
        return self.sign(session, credit)

    def registered(self) -> list[tuple[CardId, Role, str]]:
        """All cards of the registry: ID, role, holder."""
        with self.session() as session:
            rows = session.scalars(select(CardRow).order_by(CardRow.serial))
            return [(self.card_id(row.serial), Role(row.role), row.holder) for row in rows]


def _wants_float(session: Session) -> bool:
    """Whether there is no float yet, or the one that there was is lost."""
    row = session.get(FloatRow, 1)
    lost = row is not None and row.replaced_by is not None
    return lost or session.scalars(select(CardRow).where(CardRow.role == Role.FLOAT)).first() is None
