"""What changed from edition to edition, and why: the reasons stay with the center (ADR 14)."""

from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from apdu.errors import RefusedError
from apdu.identity import CardId
from broadcast.edition import Edition, head_of
from center.center import Center
from center.models import EditionRow, ReportRow

__all__ = ["Change", "PublishedEdition", "changes", "published"]


@dataclass(frozen=True, slots=True)
class PublishedEdition:
    """An edition as the center keeps it: number, dates (Unix seconds), listed cards, size of its file in bytes."""

    number: int
    time: int
    next: int
    listed: int
    size: int


@dataclass(frozen=True, slots=True)
class Change:
    """A card that came on the list (``stolen``) or off it (``found``), with the report's reason and date."""

    card: CardId
    kind: str
    reason: str
    date: int


def published(center: Center) -> list[PublishedEdition]:
    """All editions, the newest first."""
    with center.session() as session:
        rows = session.scalars(select(EditionRow).order_by(EditionRow.number.desc()))
        return [_published(row) for row in rows]


def _published(row: EditionRow) -> PublishedEdition:
    head = head_of(row.content).body
    return PublishedEdition(head.edition, head.time, head.next, head.count, len(row.content))


def changes(center: Center, number: int) -> list[Change]:
    """What an edition changed against the one before it; raises RefusedError when it was never published."""
    with center.session() as session:
        rows = session.scalars(
            select(EditionRow).where(EditionRow.number <= number).order_by(EditionRow.number.desc()).limit(2)
        ).all()
        if not rows or rows[0].number != number:
            raise RefusedError(f"edition {number} was never published (saifu center editions lists them)")
        new, *old = (Edition.decode(row.content, center.issuer, center.trust.keys).serials for row in rows)
        before = old[0] if old else new[:0]
        moved = [("stolen", np.setdiff1d(new, before)), ("found", np.setdiff1d(before, new))]
        return [
            _change(center, session, kind, serial, rows[0].date)
            for kind, serials in moved
            for serial in serials.tolist()
        ]


def _change(center: Center, session: Session, kind: str, serial: int, date: int) -> Change:
    """The report that changed it: of several of one kind in a row the first; up to the edition's date."""
    wanted = select(ReportRow).where(ReportRow.serial == serial, ReportRow.date <= date).order_by(ReportRow.id)
    found: ReportRow | None = None
    before = ""
    for row in session.scalars(wanted):
        if row.kind == kind != before:
            found = row
        before = row.kind
    card = center.card_id(serial)
    return Change(card, kind, found.reason, found.date) if found else Change(card, kind, "", 0)
