"""Whether the center is current, or behind: findings, and the comparison of the database with its witnesses.

Theory of operation. A center that works with an older copy of its database gives serials, editions and money out
again. It finds that out in two ways: by its witnesses when it is opened and before each transaction in its order
(see ``center.witness``), and by what cards and terminals show that it has signed itself and does not know of (see
``center.evidence``). Either way a finding is kept in the database, with its evidence, and from then on the center is
*behind*: every transaction that would give something out ends in BehindError. Reading goes on, and so do theft
reports. Only ``center.recovery`` closes findings, after what was given out is known, or is passed over.

A finding rests on the center's own signatures or on its own files alone, never on the word of a card: a card whose
key is broken must not be able to stop a center.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from apdu.errors import RefusedError, StoreError
from apdu.objects import CenterKey
from center.models import CardRow, EditionRow, FindingRow, FloatRow, MarkRow
from center.witness import FloatState, Marks, Witness, witness_folder

__all__ = [
    "EDITION",
    "HELP",
    "NAMED_EDITION",
    "OLD_HIGH_WATER",
    "ORDER",
    "PASSED_CREDIT",
    "PASSED_SERIAL",
    "SERIAL",
    "BehindError",
    "Finding",
    "Witnesses",
    "behind_text",
    "float_state",
    "mark",
    "marks",
    "note",
    "open_findings",
    "raise_mark",
    "require_current",
    "take_over",
]

ORDER, SERIAL, EDITION = "order", "serial", "edition"
"""Marks: the newest transaction of the center's order, the highest serial and edition that were given out."""
PASSED_SERIAL = "passed serial"
"""Mark: serials up to this one may have been certified before a recovery, whether the registry knows them or not."""
OLD_HIGH_WATER = "high-water.json"
"""The file beside the database in which earlier versions kept the highest serial and edition."""
PASSED_CREDIT = "passed credit"
"""Mark: how many credits of one card may have been given out and lost before recoveries, in all; 0 before the first."""
NAMED_EDITION = "named edition"
"""Mark: the highest edition that anything signed has named; an order to unlock names the next one."""

HELP = "docs/how-to/backup-and-restore.md"


class BehindError(RefusedError):
    """The center works with an older copy of something, and gives nothing out until it has been recovered."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that shows that the center is behind: its kind, and in words what was found; ``evidence`` as bytes."""

    kind: str
    text: str
    evidence: bytes = b""


def note(session: Session, finding: Finding) -> None:
    """Keep a finding, once."""
    same = (FindingRow.kind == finding.kind, FindingRow.text == finding.text, FindingRow.closed.is_(None))
    if session.scalars(select(FindingRow).where(*same)).first() is None:
        session.add(FindingRow(kind=finding.kind, text=finding.text, evidence=finding.evidence))


def open_findings(session: Session) -> list[Finding]:
    """What was found and not recovered from yet, in order."""
    rows = session.scalars(select(FindingRow).where(FindingRow.closed.is_(None)).order_by(FindingRow.id))
    return [Finding(row.kind, row.text, row.evidence) for row in rows]


def require_current(session: Session) -> None:
    """Raise BehindError when there is a finding that was not recovered from."""
    if found := open_findings(session):
        raise BehindError(behind_text(found[0]))


def behind_text(found: Finding) -> str:
    """What is said where the center gives nothing out."""
    return f"this center is behind, and gives nothing out: {found.text}. What helps: saifu center recover ({HELP})"


def mark(session: Session, name: str) -> int:
    """A mark of the database; 0 before it was ever raised."""
    row = session.get(MarkRow, name)
    return row.number if row else 0


def raise_mark(session: Session, name: str, to: int) -> int:
    """Raise a mark of the database; it never falls. Returns what it is then."""
    return session.merge(MarkRow(name=name, number=max(to, mark(session, name)))).number


def float_state(session: Session) -> FloatState | None:
    """The newest known state of the float; None before there is one."""
    row = session.get(FloatRow, 1)
    return FloatState(row.serial, row.record, row.payments, row.balance, row.chain) if row else None


def marks(session: Session) -> Marks:
    """What the database knows as given out; nothing of it is confirmed."""
    given = mark(session, SERIAL), mark(session, NAMED_EDITION)
    return Marks(mark(session, ORDER), 0, *given, float_state(session))


def learn(session: Session, told: Marks) -> None:
    """Raise the database's marks to what others tell as given out, so that none of it is given out again."""
    raise_mark(session, SERIAL, told.serial)
    raise_mark(session, EDITION, told.edition)
    raise_mark(session, NAMED_EDITION, told.edition)


def take_over(folder: Path, session: Session) -> None:
    """Set the marks of a center that was made before there were any, or just now.

    Such a center kept the highest serial and edition in a file beside its database, which the caller removes then.
    """
    serial = session.scalar(select(func.max(CardRow.serial))) or 0
    edition = session.scalar(select(func.max(EditionRow.number))) or 0
    kept = _high_water(folder / OLD_HIGH_WATER)
    if max(kept.get("edition", 0) - edition, kept.get("serial", 0) - serial) > 0:
        text = f"the database is an older copy: it ends with serial {serial} and edition {edition}, and there were more"
        note(session, Finding("high water", text))
    raise_mark(session, SERIAL, max(serial, kept.get("serial", 0)))
    for name in (EDITION, NAMED_EDITION):
        raise_mark(session, name, max(edition, kept.get("edition", 0)))


def _high_water(file: Path) -> dict[str, int]:
    if not file.exists():
        return {}
    try:
        return {str(name): int(highest) for name, highest in json.loads(file.read_bytes()).items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise StoreError(f"{file} is damaged: write the highest serial and edition into it") from None


class Witnesses:
    """The witness in the center's folder, which tells of the database, and the one outside, which tells of the folder.

    The outer one lies in the folder that is given, that SAIFU_WITNESS names, or where programs keep their state, and
    is named by the fingerprint of the center's public keys.
    """

    def __init__(self, folder: Path, keys: Iterable[CenterKey], outside: Path | None = None) -> None:
        """Nothing is read or written yet."""
        fingerprint = sha256(b"".join(key.encode() for key in keys)).hexdigest()[:32]
        self.inner = Witness(folder / "witness", durable=False)
        self.outer = Witness((outside or witness_folder()) / f"{fingerprint}.witness", durable=True)

    def found(self, known: Marks, *, witnessed: bool) -> list[Finding]:
        """Compare what the database knows; ``witnessed``: there was a witness outside of the folder before."""
        beside, _ = _told(self.inner)
        told, trouble = _told(self.outer)
        found = list(_older(known.announced, beside, told))
        if told is None and witnessed:
            text = (
                f"the witness outside of the center's folder is not there ({self.outer.path}): this is another machine "
                "or another user, or it was lost, and nothing tells whether the folder is an older copy"
            )
            found.append(Finding("witness missing", trouble or text))
        return found

    def told(self) -> Marks:
        """The higher of what both tell."""
        told = [marks for witness in (self.inner, self.outer) if (marks := _told(witness)[0])]
        return reduce(Marks.joined, told, Marks())

    def announce(self, known: Marks) -> None:
        """Tell both, outside first, what a transaction is about to commit; raises StoreError."""
        self.outer.announce(known)
        self.inner.announce(known)

    def confirm(self, order: int) -> None:
        """Tell both that it was committed; raises StoreError."""
        self.outer.confirm(order)
        self.inner.confirm(order)

    def catch_up(self, known: Marks) -> None:
        """Make again what is missing or damaged, and tell the others what they do not know; raises StoreError."""
        for witness in (self.outer, self.inner):
            told, _ = _told(witness)
            if told is None:
                witness.make(known)
            elif told.joined(known) != told:
                witness.announce(known)


def _told(witness: Witness) -> tuple[Marks | None, str]:
    """What a witness tells; None when it is missing, or for the reason that is said."""
    try:
        return witness.read(), ""
    except StoreError as error:
        return None, str(error)


def _older(order: int, beside: Marks | None, told: Marks | None) -> Iterator[Finding]:
    """A database that ends with a transaction, beside what the witnesses in the folder and outside of it tell."""
    if beside and order < beside.confirmed:
        text = f"the database is an older copy: it ends with transaction {order}, and {beside.confirmed} were done"
        yield Finding("database older", text)
    elif told and order < told.confirmed:
        text = f"the center's folder is an older copy: it ends with transaction {order}, and {told.confirmed} were done"
        yield Finding("folder older", text)
    if told and order > told.announced:
        yield Finding(
            "witness older",
            f"the witness outside of the center's folder is an older copy: it ends with transaction {told.announced}, "
            f"and the database with {order}; so nothing tells whether there were more",
        )
