"""A card whose key a thief has can attest any chain, but not one that goes against what it attested before."""

from dataclasses import replace

import pytest

from apdu.identity import CardId, LifeCycle
from apdu.messages import Attestation
from apdu.objects import HistoryRecord, Kind
from center.history_rules import closed_requests, impossible

CARD, OTHER = CardId.of(1, 2), CardId.of(1, 3)


def state(counter: int = 0, request: int = 0, *, is_open: bool = False, waiting: tuple[int, ...] = ()) -> Attestation:
    unsettled = b"".join(number.to_bytes(4) for number in waiting).ljust(32, b"\0")
    numbers = (0, counter, request, int(is_open), 0, bytes(32), 1, 0, 0)
    return Attestation(CARD, bytes(16), LifeCycle.ACTIVE, *numbers, unsettled)


def record(kind: Kind, number: int) -> HistoryRecord:
    return HistoryRecord(1, kind, OTHER, number, number, 100, 0, 0)


def pay(counter: int) -> HistoryRecord:
    return record(Kind.PAID, counter)


def receive(request: int) -> HistoryRecord:
    return record(Kind.RECEIVED, request)


def refund(counter: int) -> HistoryRecord:
    return record(Kind.REFUNDED, counter)


OPEN, CLOSED = state(0, 2, is_open=True), state(0, 2)

HONEST = {
    "nothing": (None, [], state()),
    "a payment that waits": (None, [pay(1)], state(1, waiting=(1,))),
    "a payment that is settled": (state(1, waiting=(1,)), [], state(1)),
    "a payment that comes back": (state(1, waiting=(1,)), [pay(2), refund(1)], state(2, waiting=(2,))),
    "paid and back between": (None, [pay(1), refund(1), pay(2)], state(2)),
    "received for the open request": (OPEN, [receive(2), receive(4)], state(0, 5)),
    "a request that is open still": (OPEN, [], OPEN),
}


@pytest.mark.parametrize("name", HONEST)
def test_what_an_honest_card_does_is_possible(name: str) -> None:
    assert impossible(*HONEST[name]) is None


FORGED = {
    "a counter again": (state(1), [pay(1)], state(1), "counters of its payments"),
    "counters that fall": (None, [pay(2), pay(1)], state(2), "counters of its payments"),
    "more paid than attested": (None, [pay(1)], state(0), "counters of its payments"),
    "an attested counter that falls": (state(2), [], state(1), "counters of its payments"),
    "received for a closed request": (CLOSED, [receive(2)], state(0, 3), "requests that were closed"),
    "received twice for one": (OPEN, [receive(2), receive(2)], state(0, 2), "requests that were closed"),
    "received for one not opened": (None, [receive(2)], state(0, 1), "requests that were closed"),
    "received for one that is open": (None, [receive(2)], OPEN, "requests that were closed"),
    "a refund of nothing": (state(1), [refund(1)], state(1), "refund of a payment that was not waiting"),
    "a refund twice": (None, [pay(1), refund(1), refund(1)], state(1), "refund of a payment that was not waiting"),
    "a payment that waits again": (state(1), [], state(1, waiting=(1,)), "payments wait that it has not made"),
    "a refund that still waits": (None, [pay(1), refund(1)], state(1, waiting=(1,)), "payments wait"),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_no_card_can_do_is_told(name: str) -> None:
    before, records, after, why = FORGED[name]
    assert why in (impossible(before, records, after) or "")


def test_a_card_of_another_issuer_is_in_no_record() -> None:
    strange = replace(pay(1), other=CardId.of(2, 3))
    assert "another issuer" in (impossible(None, [strange], state(1)) or "")


def test_what_waits_may_lie_in_a_gap() -> None:
    records = [refund(3), pay(5)]
    assert impossible(state(1), records, state(5, waiting=(4,)), whole=False) is None
    assert impossible(state(1), records, state(5, waiting=(4,))) is not None


def test_an_open_request_is_not_closed() -> None:
    assert [closed_requests(known) for known in (None, OPEN, CLOSED)] == [0, 1, 2]
