"""What changed from edition to edition, with the reasons, which the center keeps to itself."""

from pathlib import Path

import pytest

from apdu.errors import RefusedError
from center.changes import changes, published
from center.editions import publish, report_found, report_stolen
from tests.center.bank import Bank
from tests.issuer import NOW


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "center")


def test_editions_are_listed_newest_first(bank: Bank) -> None:
    assert published(bank.center) == []
    report_stolen(bank.center, bank.purse().id)
    first = publish(bank.center)
    bank.time += 60
    publish(bank.center)
    rows = published(bank.center)
    assert [(row.number, row.time, row.listed) for row in rows] == [(2, NOW + 60, 1), (1, NOW, 1)]
    assert rows[1].size == len(first.encode())


def test_each_change_has_its_reason(bank: Bank) -> None:
    one, two = bank.purse().id, bank.purse().id
    report_stolen(bank.center, one, "lost on the bus")
    report_stolen(bank.center, two, "stolen")
    publish(bank.center)
    bank.time += 60
    report_found(bank.center, one, "was at home")
    publish(bank.center)
    publish(bank.center)
    first, second, third = (changes(bank.center, number) for number in (1, 2, 3))
    assert [(row.card, row.kind, row.reason, row.date) for row in first] == [
        (one, "stolen", "lost on the bus", NOW),
        (two, "stolen", "stolen", NOW),
    ]
    assert [(row.card, row.kind, row.reason, row.date) for row in second] == [(one, "found", "was at home", NOW + 60)]
    assert third == []


def test_a_card_that_is_stolen_again_keeps_its_first_reason_in_the_first_edition(bank: Bank) -> None:
    card = bank.purse().id
    report_stolen(bank.center, card, "lost on the bus")
    publish(bank.center)
    bank.time += 60
    report_found(bank.center, card)
    publish(bank.center)
    bank.time += 60
    report_stolen(bank.center, card, "robbed")
    publish(bank.center)
    assert [(row.reason, row.date) for row in changes(bank.center, 1)] == [("lost on the bus", NOW)]
    assert [(row.reason, row.date) for row in changes(bank.center, 3)] == [("robbed", NOW + 120)]


def test_a_second_report_of_a_card_does_not_change_why_it_is_listed(bank: Bank) -> None:
    card = bank.purse().id
    for reason in ("lost on the bus", "stolen"):
        report_stolen(bank.center, card, reason)
    publish(bank.center)
    assert [row.reason for row in changes(bank.center, 1)] == ["lost on the bus"]


def test_no_terminal_hears_the_reasons(bank: Bank) -> None:
    report_stolen(bank.center, bank.purse().id, "lost on the bus")
    assert b"bus" not in publish(bank.center).encode()


def test_an_edition_that_never_was_has_no_changes(bank: Bank) -> None:
    publish(bank.center)
    for number in (0, 2):
        with pytest.raises(RefusedError, match="never published"):
            changes(bank.center, number)
