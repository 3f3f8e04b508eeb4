"""How sales that were begun and cut have ended: the merchant's card tells, from its requests and its history.

A purse receives for the request that is open, and for no other; opening the next one, or receiving, closes it for good.
So the records of kind *received* bear request numbers that only grow, and a request n that is closed has ended one of
two ways: a record has n, or records pass it by and nothing will ever come. While n is open, the customer's card may
still bring the money, at any terminal.
"""

from collections.abc import Iterator

from apdu.errors import MisbehaviourError
from apdu.objects import Counters, HistoryRecord, Kind
from apdu.status import StatusError, StatusWord
from host.session import PurseSession
from host.terminal.sales import Begun, SalesStore

__all__ = ["book_what_was_cut"]


def book_what_was_cut(till: PurseSession, sales: SalesStore) -> list[Begun]:
    """Book or drop what was begun with the merchant's card and is decided; returns what was booked, newest first.

    The card is asked only when there is something to decide. Raises what ``PurseSession`` raises, MisbehaviourError
    when records do not go on from each other, StoreError.
    """
    begun = [one for one in sales.begun(till.card) if not one.in_doubt]
    if not begun:
        return []
    counters = till.get_counters()
    waiting, booked = {one.request: one for one in begun if _is_closed(one, counters)}, list[Begun]()
    for record in _received(till, counters.record) if waiting else ():
        for request in [request for request in waiting if request >= record.request]:
            one = waiting.pop(request)
            same = (record.request, record.other, record.amount) == (request, one.customer, one.amount)
            if same and sales.book(till.card, request, record.counter):
                booked.append(one)
            elif not same:
                sales.drop(till.card, request)
        if not waiting:
            break
    _without_record(till, sales, waiting, counters)
    return booked


def _is_closed(one: Begun, counters: Counters) -> bool:
    """A request above the card's last one waits too: that card is an older copy of the one that opened it."""
    return one.request < counters.requests or (one.request == counters.requests and not counters.open)


def _received(till: PurseSession, newest: int) -> Iterator[HistoryRecord]:
    """The records of kind *received* that the card still has, newest first."""
    for age in range(newest):
        try:
            record = till.read_record(age)
        except StatusError as error:
            if error.sw != StatusWord.RECORD_NOT_FOUND:
                raise
            return
        if record.number != newest - age:
            raise MisbehaviourError(f"card {till.card}: its records do not go on from record {newest - age + 1}")
        if record.kind is Kind.RECEIVED:
            yield record


def _without_record(till: PurseSession, sales: SalesStore, waiting: dict[int, Begun], counters: Counters) -> None:
    """No record that is left has these requests, or passes them by: only a whole history says that nothing came."""
    whole = not waiting or counters.record <= till.get_capacities().history
    for request in waiting:
        (sales.drop if whole else sales.doubt)(till.card, request)
