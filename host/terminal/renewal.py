"""Renewal of credit information over the line, fig. 7: challenge, attested state, history, new credit."""

from apdu.errors import MisbehaviourError
from apdu.messages import Credit
from apdu.objects import HistoryRecord
from host.session import PurseSession
from host.terminal.line import CenterLine

__all__ = ["renew"]


def renew(session: PurseSession, line: CenterLine, now: int) -> Credit:
    """Renew a card's credit and settle what the center could resolve; returns the new credit.

    ``now`` is the terminal's date, for the records of money that comes back.

    Raises RefusedError with the center's reason; the card is then as it was.
    """
    begun = line.begin_renewal(session.card)
    attested = session.attest(begun.challenge)
    renewal = line.renew(attested, _unseen(session, attested.attestation.body.record, begun.seen))
    session.put_credit(renewal.credit)
    for resolution in renewal.resolutions:
        session.settle(resolution, now)
    return renewal.credit.body


def _unseen(session: PurseSession, newest: int, seen: int) -> list[HistoryRecord]:
    """Records that the center has not seen, oldest first."""
    missing = newest - seen
    if not 0 <= missing <= session.get_capacities().history:
        raise MisbehaviourError(f"card {session.card} has lost {missing} records that the center has not seen")
    records = [session.read_record(age) for age in range(missing)]
    records.reverse()
    return records
