"""What no history of a card can say, beside what the same card attested before: judged without any other card.

Theory of operation. The hash chain and the balances show that records are the attested ones, and that they follow
each other. A card whose key is known to a thief can attest any chain. What it has attested before binds it all the
same, since the center keeps its last attested state, and since the rules of the purse give each number one way to go:

1. Payments have rising counters, above the attested one, up to the newly attested one.
2. A refund ends a payment that was waiting: one of the attested unsettled ones, or one that came after, and once.
   Otherwise money is made. What waits in the end was waiting before, or was paid since.
3. What is received has rising request numbers, above every request that was closed when the card last attested: what
   a closed request did not bring, it never brings, and the center may have said so already.

A record of another issuer's card is none that this center's cards can write. After a loss at the center some records
of a card may be missing (``center.history``); a payment may lie there, so rule 2 is not judged then.
"""

from collections.abc import Iterable
from itertools import pairwise

from apdu.messages import Attestation
from apdu.objects import HistoryRecord, Kind

__all__ = ["closed_requests", "impossible"]


def closed_requests(state: Attestation | None) -> int:
    """The highest request number that a card with this state credits nothing for any more; 0 before the first."""
    return state.request - bool(state.open) if state else 0


def impossible(
    before: Attestation | None, records: list[HistoryRecord], state: Attestation, *, whole: bool = True
) -> str | None:
    """What cannot be in the records between two attested states of a card, in words; None when all of it can.

    ``before`` is None for a card that never attested; not ``whole`` when records between the two are missing.
    """
    strange = next((record for record in records if record.other.issuer != state.card.issuer), None)
    if strange is not None:
        return f"record {strange.number} is of a transfer with a card of another issuer"
    paid = [before.counter if before else 0, *(record.counter for record in records if record.kind is Kind.PAID)]
    if not _rising(paid) or state.counter < paid[-1]:
        return "the counters of its payments do not go on from what it attested"
    requests = [record.request for record in records if record.kind is Kind.RECEIVED]
    if not _rising([closed_requests(before), *requests, closed_requests(state) + 1]):
        return "it has received money for requests that were closed"
    return _wrong_refunds(before, records, state) if whole else None


def _rising(numbers: Iterable[int]) -> bool:
    return all(one < other for one, other in pairwise(numbers))


def _wrong_refunds(before: Attestation | None, records: list[HistoryRecord], state: Attestation) -> str | None:
    waiting = set(before.unsettled_counters if before else ())
    for record in records:
        if record.kind is Kind.PAID:
            waiting.add(record.counter)
        elif record.kind is Kind.REFUNDED and record.counter not in waiting:
            return f"record {record.number} is a refund of a payment that was not waiting for one"
        elif record.kind is Kind.REFUNDED:
            waiting.remove(record.counter)
    return (
        None
        if waiting.issuperset(state.unsettled_counters)
        else "payments wait that it has not made, or that were finished"
    )
