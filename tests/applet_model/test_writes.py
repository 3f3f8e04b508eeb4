"""How often the card writes: each physical write costs a chip milliseconds. protocol.md tells these numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.applet_model.cards import CopiedCard, purse, session
from tests.issuer import NOW, PIN

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "protocol.md"


class Count(dict[str, int]):
    """Writes by command."""

    @contextmanager
    def of(self, name: str, card: CopiedCard) -> Iterator[None]:
        before = card.writes
        yield
        self[name] = card.writes - before


@pytest.fixture(scope="module")
def writes() -> Count:
    """Two transfers between two cards: one arrives, one is refused."""
    count, payer, payee = Count(), purse(1, 10_000), purse(2)
    paying, paid = session(payer), session(payee)
    with count.of("REQUEST", payee):
        requested = paid.request(100, paying.card, NOW)
    with count.of("VERIFY", payer):
        paying.verify(PIN)
    with count.of("PAY", payer):
        value = paying.pay(requested, NOW)
    with count.of("RECEIVE", payee):
        receipt = paid.receive(value, NOW)
    with count.of("SETTLE", payer):
        paying.settle(receipt, NOW)
    late = paying.pay(requested, NOW)
    refusal = paid.receive(late, NOW)
    with count.of("SETTLE with a refund", payer):
        paying.settle(refusal, NOW)
    return count


def test_a_transfer_writes_fifteen_times(writes: Count) -> None:
    transfer = {name: writes[name] for name in ("REQUEST", "PAY", "RECEIVE", "SETTLE")}
    assert transfer == {"REQUEST": 3, "PAY": 5, "RECEIVE": 4, "SETTLE": 3}
    assert sum(transfer.values()) == 15


def test_a_refund_and_a_pin_write_as_often_as_is_told(writes: Count) -> None:
    assert (writes["SETTLE with a refund"], writes["VERIFY"]) == (5, 6)


@pytest.mark.parametrize("name", ["REQUEST", "PAY", "RECEIVE", "SETTLE", "SETTLE with a refund", "VERIFY"])
def test_the_reference_page_tells_them(writes: Count, name: str) -> None:
    assert f"| {name} | {writes[name]} |" in PAGE.read_text(encoding="utf-8")
