"""Theft reports and editions of the blacklist [0013]: the report comes in, the list is signed, it goes out."""

from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from apdu.errors import RefusedError
from apdu.identity import CardId
from apdu.messages import Head, Signed, UnlockOrder
from broadcast.edition import Edition, head_of
from broadcast.sparse_set import MAX_MEMBERS
from center.center import Center
from center.clock import BEHIND
from center.keys import ORDERS_KEY
from center.models import CardRow, EditionRow, ListedRow, ReportRow, SettingRow
from center.standing import EDITION, NAMED_EDITION, ORDER, SERIAL, mark, raise_mark
from host.files import write_whole

__all__ = [
    "edition_bytes",
    "edition_file",
    "is_listed",
    "listed",
    "publish",
    "report_found",
    "report_stolen",
    "unlock_order",
    "unpublished",
]

_HOUR = 3600
_TAKEN_IN = "newest report in an edition"


def listed(center: Center) -> set[CardId]:
    """All cards on the list as it stands now (store 28)."""
    with center.session() as session:
        return {center.card_id(serial) for serial in session.scalars(select(ListedRow.serial))}


def is_listed(center: Center, card: CardId) -> bool:
    """Whether a card is on the list as it stands now (store 28)."""
    with center.session() as session:
        return session.get(ListedRow, card.serial) is not None


def report_stolen(center: Center, card: CardId, reason: str = "stolen") -> bool:
    """Take a report in; returns False when the card was listed before.

    It may be of any card that was ever given out, also if the registry is an older copy and does not know it.
    Raises RefusedError for others.
    """
    with center.ordered(while_behind=True) as session:
        row = session.get(CardRow, card.serial)
        if card.issuer != center.issuer or (row is None and card.serial > mark(session, SERIAL)):
            raise RefusedError(f"card {card} is not in this center's registry")
        session.add(
            ReportRow(serial=card.serial, kind="stolen", reason=reason, date=center.now, order=session.info[ORDER])
        )
        if session.get(ListedRow, card.serial) is not None:
            return False
        session.add(ListedRow(serial=card.serial, reason=reason, since=center.now))
        if row is not None:
            row.unlocked_from = None
        return True


def _take_in(center: Center, session: Session, card: CardId, kind: str, reason: str) -> None:
    order = session.info[ORDER]
    session.add(ReportRow(serial=card.serial, kind=kind, reason=reason, date=center.now, order=order))


def report_found(center: Center, card: CardId, reason: str = "found") -> int:
    """Take a card off the list and allow it to be unlocked; returns the edition that no longer has it.

    Raises RefusedError for a card that is not listed.
    """
    with center.ordered() as session:
        row, listed = center.row(session, card), session.get(ListedRow, card.serial)
        if listed is None:
            raise RefusedError(f"card {card} is not listed")
        session.add(
            ReportRow(serial=card.serial, kind="found", reason=reason, date=center.now, order=session.info[ORDER])
        )
        session.delete(listed)
        row.unlocked_from = mark(session, EDITION) + 1
        return row.unlocked_from


def publish(center: Center) -> Edition:
    """Make the next edition of all listed cards, sign its head, and keep it.

    Raises RefusedError when more cards are listed than an edition takes, or the center is behind.
    """
    with center.ordered() as session:
        if (count := session.scalar(select(func.count()).select_from(ListedRow)) or 0) > MAX_MEMBERS:
            raise RefusedError(
                f"an edition lists {MAX_MEMBERS} at most, and there are {count}: terminate cards, or divide them"
            )
        edition_number = raise_mark(session, EDITION, mark(session, EDITION) + 1)
        raise_mark(session, NAMED_EDITION, edition_number)
        serials = session.scalars(select(ListedRow.serial)).all()
        time = center.signing_time(session)
        next_time = time + center.settings.edition_hours * _HOUR
        head = Head(ORDERS_KEY, center.issuer, edition_number, time, next_time, 0, b"")
        edition = Edition.make(center.keys.orders, head, serials, mark(session, SERIAL) or None)
        row = EditionRow(number=edition_number, date=time, content=edition.encode(), order=session.info[ORDER])
        session.add(row)
        session.merge(SettingRow(name=_TAKEN_IN, value=_newest_report(session)))
    write_whole(edition_file(center, edition_number), edition.encode())
    return edition


def edition_file(center: Center, number: int) -> Path:
    """Where the file of a published edition lies."""
    return center.folder / f"edition-{number}"


def unpublished(center: Center) -> bool:
    """Whether it is time for the next edition.

    The newest is due to be replaced, or is of a time that the clock, put right since, has not come to; or reports
    have come in since.
    """
    with center.session() as session:
        row = session.scalars(select(EditionRow).order_by(EditionRow.number.desc()).limit(1)).first()
        if row is None:
            return True
        head = head_of(row.content).body
        taken_in = session.get(SettingRow, _TAKEN_IN)  # an earlier version did not write it down
        due = not head.time - BEHIND <= center.now < head.next
        return due or taken_in is None or taken_in.value != _newest_report(session)


def _newest_report(session: Session) -> str:
    return str(session.scalar(select(func.max(ReportRow.id))) or 0)


def edition_bytes(center: Center, number: int | None = None) -> bytes:
    """A published edition, the newest by default; raises RefusedError when there is none."""
    with center.session() as session:
        wanted = select(EditionRow).order_by(EditionRow.number.desc())
        row = session.scalars(wanted if number is None else wanted.where(EditionRow.number == number)).first()
        if row is None:
            raise RefusedError("that edition was never published (saifu center publish)")
        return row.content


def unlock_order(center: Center, card: CardId) -> Signed[UnlockOrder]:
    """The order for a card that was found, above every edition that it may have seen; those are void for it."""
    with center.ordered() as session:
        row = center.row(session, card)
        if row.unlocked_from is None:
            raise RefusedError(f"card {card} may not be unlocked (saifu center report-found {card})")
        named = raise_mark(session, NAMED_EDITION, mark(session, EDITION) + 1)
        return center.sign(session, UnlockOrder(ORDERS_KEY, card, named))
