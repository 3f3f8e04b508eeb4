"""What cards and terminals show that this center has signed and does not know of: then it has lost something.

Only signatures of the center's own keys count, each over a number that the center gives out once and in order:

- a certificate of a serial that it has not certified,
- credit information with a higher serial than it has given to that card, or a newer record that it has seen,
- the head of a newer edition than it has published.

What a recovery has passed over (see ``center.recovery``) is no news: a certificate up to the serial that was passed
over, and credit up to the serial that was, are then taken for what was lost, and the card is taken in by them.
"""

from collections.abc import Iterator
from hashlib import sha256

from sqlalchemy.orm import Session

from apdu.errors import AuthenticityError, RefusedError
from apdu.messages import BodyT, Signed
from apdu.signature import point_of
from center.center import Center
from center.models import CardRow, RemindedRow
from center.standing import (
    EDITION,
    NAMED_EDITION,
    PASSED_CREDIT,
    PASSED_SERIAL,
    SERIAL,
    Finding,
    learn,
    mark,
    note,
    open_findings,
)
from center.witness import Marks
from host.terminal.line import Shown

__all__ = ["UNKNOWN_HOLDER", "enough", "examine", "signed_credit", "taken_in"]

UNKNOWN_HOLDER = "unknown"
"""Whose a card is that was taken in by its own certificate."""


def examine(center: Center, session: Session, shown: Shown) -> None:
    """Keep what proves that the center is behind, and never give out again what is shown.

    While it is behind already, only what goes beyond all that is known as given out is news.
    """
    for finding, told in _beyond(center, session, shown, behind=bool(open_findings(session))):
        note(session, finding)
        learn(session, told)


def _beyond(center: Center, session: Session, shown: Shown, *, behind: bool) -> Iterator[tuple[Finding, Marks]]:
    row, card = _row(center, session, shown), shown.card
    head, credit = shown.head, shown.credit
    if head and head.body.edition > mark(session, NAMED_EDITION) and _ordered(center, head):
        text = f"edition {head.body.edition} was published, and this database ends with {mark(session, EDITION)}"
        yield Finding("edition", text, head.raw), Marks(edition=head.body.edition)
    certified = row is not None and row.certificate is not None
    passed = card.serial <= mark(session, SERIAL if behind else PASSED_SERIAL)
    if not certified and not passed and _certified(center, shown):
        text = f"card {card} was certified, and this database does not know of it"
        yield Finding("certificate", text, shown.certificate.raw), Marks(serial=card.serial)
    elif not behind and credit.body.card == card and _unknown_credit(session, row, shown) and _ordered(center, credit):
        given, seen = (row.credit_serial, row.seen) if row else (0, 0)
        text = (
            f"card {card} was given credit {credit.body.serial} for the records up to {credit.body.seen}, and this "
            f"database ends with credit {given} and record {seen} of it"
        )
        yield Finding("credit", text, credit.raw), Marks()


def _unknown_credit(session: Session, row: CardRow | None, shown: Shown) -> bool:
    """Whether credit is above what was given to the card; the records that it tells of may be lost after a recovery."""
    passed = mark(session, PASSED_CREDIT)
    given, seen = (row.credit_serial, row.seen) if row else (passed, 0)
    return shown.credit.body.serial > given or (shown.credit.body.seen > seen and not passed)


def taken_in(center: Center, session: Session, shown: Shown, holder: str = UNKNOWN_HOLDER) -> CardRow:
    """The registry's row of a card, made from its own certificate where that was lost.

    Raises RefusedError for a card that this center has not certified.
    """
    row, card = _row(center, session, shown), shown.card
    certified = row is not None and row.certificate is not None
    if not certified and not _certified(center, shown):
        raise RefusedError(f"card {card} is not in this center's registry, and shows no certificate of this center")
    if row is None:
        chain, passed = sha256(card).digest(), mark(session, PASSED_CREDIT)
        role, date = shown.certificate.body.role, center.now
        row = CardRow(serial=card.serial, role=role, holder=holder, allotted=date, chain=chain, credit_serial=passed)
        session.add(row)
    if row.certificate is None:
        row.certificate = shown.certificate.raw
        session.flush()
    credit = shown.credit.body
    if credit.card == card and credit.seen > row.seen and _ordered(center, shown.credit):
        session.merge(RemindedRow(serial=card.serial, seen=credit.seen))
        row.credit_serial = max(row.credit_serial, credit.serial)
    return row


def signed_credit(center: Center, shown: Shown) -> int:
    """The serial of the credit information that a card shows, if this center has signed it for that card; else 0."""
    credit = shown.credit.body
    return credit.serial if credit.card == shown.card and _ordered(center, shown.credit) else 0


def enough(session: Session, row: CardRow) -> int:
    """The newest record that the center has ever seen of a card, as far as it knows or was reminded."""
    reminded = session.get(RemindedRow, row.serial)
    return max(row.seen, reminded.seen if reminded else 0)


def _row(center: Center, session: Session, shown: Shown) -> CardRow | None:
    return session.get(CardRow, shown.card.serial) if shown.card.issuer == center.issuer else None


def _certified(center: Center, shown: Shown) -> bool:
    own = shown.card.issuer == center.issuer
    return own and _holds(shown.certificate, point_of(center.keys.certification))


def _ordered(center: Center, signed: Signed[BodyT]) -> bool:
    return _holds(signed, point_of(center.keys.orders))


def _holds(signed: Signed[BodyT], point: bytes) -> bool:
    try:
        signed.verify(point)
    except AuthenticityError:
        return False
    return True
