"""What a card attests, handed in over the line: for new credit information, fig. 7, or to end its life."""

from apdu.errors import MisbehaviourError
from apdu.messages import Credit, Head, Signed
from apdu.objects import HistoryRecord
from host.session import Attested, PurseSession
from host.terminal.line import CenterLine, RenewalChallenge, Shown

__all__ = ["renew", "shown", "terminate"]


def renew(session: PurseSession, line: CenterLine, now: int, newest_head: Signed[Head] | None = None) -> Credit:
    """Renew a card's credit and settle what the center could resolve; returns the new credit.

    ``now`` is the terminal's date, for the records of money that comes back; ``newest_head`` the newest that it
    knows. Raises RefusedError with the center's reason; the card is then as it was.
    """
    renewal = line.renew(*_attested(session, line, newest_head))
    session.put_credit(renewal.credit)
    for resolution in renewal.resolutions:
        session.settle(resolution, now)
    return renewal.credit.body


def terminate(session: PurseSession, line: CenterLine, now: int, newest_head: Signed[Head] | None = None) -> None:
    """End the life of an empty card; its history is handed in first.

    ``now`` and ``newest_head`` are as for ``renew``. Raises RefusedError with the center's reason.
    """
    session.terminate(line.terminate_order(*_attested(session, line, newest_head)), now)


def _attested(
    session: PurseSession, line: CenterLine, newest_head: Signed[Head] | None
) -> tuple[Attested, list[HistoryRecord]]:
    """The card's state under a fresh challenge, and the records that the center has not seen, oldest first."""
    begun = line.begin_renewal(shown(session, newest_head))
    attested = session.attest(begun.challenge)
    return attested, _unseen(session, attested.attestation.body.record, begun)


def shown(session: PurseSession, newest_head: Signed[Head] | None = None) -> Shown:
    """What a card has from the center, with the newer of its own head and the terminal's."""
    heads = [head for head in (session.get_head(), newest_head) if head]
    newest = max(heads, key=lambda head: head.body.edition, default=None)
    return Shown(session.get_certificate(), session.get_credit()[0], newest)


def _unseen(session: PurseSession, newest: int, begun: RenewalChallenge) -> list[HistoryRecord]:
    """Records that the center has not seen, oldest first; after a loss at the center, those that there still are."""
    missing, capacity = newest - begun.seen, session.get_capacities().history
    if missing > capacity >= newest - begun.enough:
        missing = capacity
    if not 0 <= missing <= capacity:
        raise MisbehaviourError(f"card {session.card} has lost {missing} records that the center has not seen")
    records = [session.read_record(age) for age in range(missing)]
    records.reverse()
    return records
