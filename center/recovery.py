"""A center that is behind comes back: cards and editions are taken in again, then numbers go on above what was lost.

Theory of operation. What was lost is somewhere: on the cards, in the terminals, in the witnesses. While the center is
behind, cards are taken in by their own certificates and histories, and the list by the newest edition that a terminal
has. Then ``finish`` sets everything that is given out by number above what may have been given out:

- If both witnesses are there and the database or the folder is the older copy, they say how far it was: nothing is
  guessed.
- If the witness outside was lost, or is as old as the database, nobody knows. The operator says a *margin*, the most
  that can have been given out since the copy, and numbers go on above what anybody has seen and the margin.
  A recovery that was itself lost has left a gap above what was seen then. It has raised all credit serials by as
  much, so the most by which a card that is taken in is beyond the database is passed over too.
- If the operator says that the folder is *current* (the center has moved to another machine), nothing is passed over.
  A card that shows more afterwards puts the center behind again.

A serial that was passed over is never certified again, whether the registry knows it or not; a card that has it is
taken in by its own certificate when it comes to be renewed. All credit serials rise by as much as may have been given
out, so that credit from the lost time can be told from credit of a later one.

The float must be the newest there was: then nothing is paid out twice. If its image is lost, a new purse is opened
with what the newest known state says, or the operator where nobody knows; the lost one's card is listed, and its
image, if it is found, is refused as an older copy. Nothing but the center runs the float, and nothing else stops
somebody who has an old image from paying out of it: it is a card, with its money on it.
"""

from dataclasses import dataclass
from secrets import token_bytes

from sqlalchemy import update
from sqlalchemy.orm import Session

from apdu.errors import AuthenticityError, InputError, RefusedError, StoreError
from apdu.identity import CardId
from apdu.messages import Certificate, Head, Signed
from broadcast.edition import EDITION_MAGIC, Edition, check_head
from center.center import Center
from center.evidence import UNKNOWN_HOLDER, examine, signed_credit, taken_in
from center.float_purse import float_image, replace_float
from center.float_watch import leads, state_of
from center.history import take_over_records
from center.models import CardRow, FindingRow, FloatRow, ListedRow, MarkRow, ReportRow
from center.standing import (
    EDITION,
    HELP,
    NAMED_EDITION,
    ORDER,
    PASSED_CREDIT,
    PASSED_SERIAL,
    SERIAL,
    Finding,
    float_state,
    learn,
    mark,
    marks,
    note,
    open_findings,
    raise_mark,
)
from center.witness import FloatState, Marks
from host.model import ModelSlot
from host.session import PurseSession
from host.terminal.renewal import shown

__all__ = ["MARGIN", "Finished", "Plan", "TakenIn", "finish", "take_in_card", "take_in_edition"]

MARGIN = 1000
"""Serials, editions, and credits of one card, that are passed over when nobody knows how many were given out."""
_SURPLUS = "surplus"
"""Mark: the most credits by which a card that was taken in is beyond the database; 0 again after a recovery."""
_EXACT = frozenset({"database older", "folder older"})
"""Kinds of findings after which the witnesses tell how far everything had come."""
_WITNESS = frozenset({"witness missing", "witness older"})
"""Kinds of findings that say nothing of the database."""


@dataclass(frozen=True, slots=True)
class TakenIn:
    """A card that was taken in again: whether it was unknown, its newest record, how many came in and were lost."""

    card: CardId
    new: bool
    record: int
    records: int
    lost: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What the operator says: the folder is current; the margin; what a new float is to begin with.

    ``float_amount``, in minor units, gives the float up as lost; ``lost_float`` does too, with what is known of it.
    """

    current: bool = False
    margin: int = MARGIN
    lost_float: bool = False
    float_amount: int | None = None
    newest_float: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """How a recovery ended: the last serial and edition that were passed over, and the new float, if there is one."""

    serial: int
    edition: int
    new_float: CardId | None


def take_in_card(center: Center, session: PurseSession, holder: str = UNKNOWN_HOLDER) -> TakenIn:
    """Bring a card's registry row and history back from the card itself.

    Raises RefusedError when it is not this center's, or its history does not fit; nothing is changed then.
    """
    seen_things = shown(session)
    with center.session() as database:
        examine(center, database, seen_things)
    attested = session.attest(token_bytes(16))
    with center.ordered(while_behind=True) as database:
        known = database.get(CardRow, session.card.serial)
        given = known.credit_serial if known else mark(database, PASSED_CREDIT)
        row = taken_in(center, database, seen_things, holder)
        if row.certificate != attested.certificate.raw:
            raise RefusedError(f"card {session.card} shows a certificate that it was not given")
        try:
            state = attested.attestation.verify(Signed.decode(Certificate, row.certificate).body.point)
        except AuthenticityError:
            raise RefusedError(f"card {session.card}: the attestation is not signed by it") from None
        missing, capacity = state.record - row.seen, session.get_capacities().history
        if missing < 0:
            raise RefusedError(f"card {session.card} is behind what the center has seen of it: an older copy?")
        records = [session.read_record(age) for age in range(min(missing, capacity))][::-1]
        take_over_records(center, database, row, attested.attestation, records)
        credit = signed_credit(center, seen_things)
        raise_mark(database, _SURPLUS, credit - given)
        row.credit_serial = max(row.credit_serial, credit)
        raise_mark(database, SERIAL, row.serial)
        return TakenIn(session.card, known is None, state.record, len(records), missing - len(records))


def take_in_edition(center: Center, raw: bytes) -> tuple[int, int]:
    """Take a published edition, or a terminal's newest head; returns its number, and how many cards came on the list.

    Cards that the edition lists and the database does not are listed again; others stay, whatever it says. Raises
    AuthenticityError for one that this center has not signed, InputError for a file of another kind.
    """
    if raw.startswith(EDITION_MAGIC):
        edition = Edition.decode(raw, center.issuer, center.trust.keys)
        head, serials = edition.head, edition.serials.tolist()
    elif len(raw) == Head.SIZE + 64:
        head, serials = Signed.decode(Head, raw), []
        check_head(head, center.issuer, center.trust.keys)
    else:
        raise InputError("this is neither an edition of the blacklist nor a terminal's newest head")
    number = head.body.edition
    with center.ordered(while_behind=True) as session:
        if number > mark(session, NAMED_EDITION):
            text = f"edition {number} was published, and this database ends with {mark(session, EDITION)}"
            note(session, Finding("edition", text, head.raw))
        learn(session, Marks(edition=number, serial=max(serials, default=0)))
        new = [serial for serial in serials if session.get(ListedRow, serial) is None]
        for serial in new:
            _list(center, session, serial, f"listed in edition {number}")
    return number, len(new)


def _list(center: Center, session: Session, serial: int, reason: str) -> None:
    session.add(ReportRow(serial=serial, kind="stolen", reason=reason, date=center.now))
    session.merge(ListedRow(serial=serial, reason=reason, since=center.now))


def finish(center: Center, plan: Plan) -> Finished:
    """Set everything above what may have been given out, and close what was found; then make a lost float anew.

    May be called again after it was cut. Raises RefusedError, and says why, when something has to be said first.
    """
    with center.session() as session:
        _pass_over(center, session, plan)
        serial, edition = mark(session, PASSED_SERIAL), mark(session, EDITION)
        order = mark(session, ORDER)
        session.flush()
        center.witnesses.catch_up(marks(session))
    center.witnesses.confirm(order)
    return Finished(serial, edition, replace_float(center))


def _pass_over(center: Center, session: Session, plan: Plan) -> None:
    found = {finding.kind for finding in open_findings(session)}
    told, order = center.witnesses.told(), mark(session, ORDER)
    exact = found <= _EXACT
    if plan.current and not found <= _WITNESS:
        raise RefusedError("this folder is not current: saifu center recover says what was found")
    guessed = plan.margin + mark(session, _SURPLUS)
    lost = 0 if plan.current or not found else max(told.confirmed - order, 1) if exact else guessed
    _decide_float(center, session, plan, told, exact=exact)
    raise_mark(session, ORDER, max(order, told.announced) + 1 + (0 if exact else guessed))
    if lost:
        learn(session, told)
        passed = 0 if exact else guessed
        raise_mark(session, PASSED_SERIAL, raise_mark(session, SERIAL, mark(session, SERIAL) + passed))
        raise_mark(session, NAMED_EDITION, raise_mark(session, EDITION, mark(session, NAMED_EDITION) + passed))
        raise_mark(session, PASSED_CREDIT, mark(session, PASSED_CREDIT) + lost)
        session.execute(update(CardRow).values(credit_serial=CardRow.credit_serial + lost))
    session.merge(MarkRow(name=_SURPLUS, number=0))
    session.execute(update(FindingRow).where(FindingRow.closed.is_(None)).values(closed=mark(session, ORDER)))


def _decide_float(center: Center, session: Session, plan: Plan, told: Marks, *, exact: bool) -> None:
    """Go on with the float that is there, if it is the newest, or give it up for a new one."""
    row = session.get(FloatRow, 1)
    if row is None or row.replaced_by is not None:
        return
    known = Marks(float_state=float_state(session)).joined(told).float_state
    if known is None:
        return
    if plan.lost_float or plan.float_amount is not None:
        _give_up(center, session, plan, known, exact=exact)
        return
    here = _float_here(center, known)
    if here is None:
        raise RefusedError(
            f"{float_image(center)} is not the newest image of the float, which the center has heard of at record "
            f"{known.record}: put that one back under this name; if it is lost, say --lost-float, and a new one is "
            f"made ({HELP})"
        )
    if not exact and not plan.current and not plan.newest_float:
        raise RefusedError(
            f"nothing tells whether {float_image(center)} is the float's newest image, with {here.balance} minor units "
            "on it: say --newest-float if you know that it is, or --float AMOUNT for a new one with what the newest "
            f"had at most ({HELP})"
        )
    row.record, row.payments, row.balance, row.chain = here.record, here.payments, here.balance, here.chain


def _give_up(center: Center, session: Session, plan: Plan, known: FloatState, *, exact: bool) -> None:
    if plan.float_amount is None and not exact:
        raise RefusedError(
            f"nobody knows how much the newest float held; the last that is known is {known.balance} minor units, "
            f"before what was paid out since: say --float AMOUNT ({HELP})"
        )
    amount = known.balance if plan.float_amount is None else plan.float_amount
    if amount > known.balance and exact:
        raise RefusedError(f"the float held {known.balance} minor units; a new one cannot begin with more")
    _list(center, session, known.serial, "a float that was lost")
    row = session.get_one(FloatRow, 1)
    row.serial, row.record, row.payments = known.serial, known.record, known.payments
    row.balance, row.chain, row.replaced_by = known.balance, known.chain, amount


def _float_here(center: Center, known: FloatState) -> FloatState | None:
    """The float's state in its image, if it is the known one or has gone on from there."""
    slot = ModelSlot("float", path=float_image(center))
    try:
        session = PurseSession(slot.connect())
        state = state_of(session)
        same = (state.serial, state.record, state.chain) == (known.serial, known.record, known.chain)
        further = state.serial == known.serial and state.record > known.record and leads(session, known, state)
        return state if same or further else None
    except StoreError:
        return None
    finally:
        slot.close()
