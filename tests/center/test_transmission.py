"""What goes on the air: sealed once for each key, the newest list and the last steps."""

from pathlib import Path

import pytest
from sqlalchemy import delete

from apdu.errors import RefusedError
from broadcast.carousel import OnAir
from broadcast.demodulator import demodulate
from broadcast.edition import Delta, Edition, read_content
from center.cipher_groups import cipher_keys, retire_cipher_key, roll_cipher_key
from center.editions import publish, report_found, report_stolen, unpublished
from center.models import SettingRow
from center.transmission import on_air
from tests.center.bank import Bank

HOUR = 3600


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "center")


def published(bank: Bank, count: int) -> list[Edition]:
    """Editions, each with one card more."""
    made = []
    for _ in range(count):
        report_stolen(bank.center, bank.purse().id)
        made.append(publish(bank.center))
    return made


def opened(bank: Bank, one: OnAir) -> Edition | Delta:
    content = demodulate(one.sealed, cipher_keys(bank.center))
    return read_content(content, bank.center.issuer, bank.center.trust.keys)


def names(objects: list[OnAir]) -> list[tuple[int, int, int]]:
    return [(one.key.number, one.edition, one.span) for one in objects]


def test_nothing_is_on_the_air_before_the_first_edition(bank: Bank) -> None:
    with pytest.raises(RefusedError, match="nothing was published"):
        on_air(bank.center)


def test_the_newest_list_and_the_last_steps_are_on_the_air(bank: Bank) -> None:
    editions = published(bank, 7)
    objects = on_air(bank.center)
    assert names(objects) == [(1, 7, 0), (1, 7, 1), (1, 6, 1), (1, 5, 1), (1, 4, 1)]
    full, *steps = (opened(bank, one) for one in objects)
    assert full == editions[-1]
    at = editions[2]
    for step in reversed(steps):
        assert isinstance(step, Delta)
        at = step.apply(at)
    assert at == editions[-1]


def test_what_is_sealed_stays_until_the_next_edition(bank: Bank) -> None:
    published(bank, 2)
    first = on_air(bank.center)
    assert on_air(bank.center) == first


def test_what_stays_on_the_air_is_not_sealed_again(bank: Bank) -> None:
    """Packets of two seals do not fit each other: a terminal that is half-way through would begin anew."""
    published(bank, 3)
    before = set(on_air(bank.center))
    roll_cipher_key(bank.center)
    assert before < set(on_air(bank.center))
    published(bank, 1)
    steps = {one for one in before if one.span}
    assert steps < set(on_air(bank.center))


def test_two_groups_have_nothing_in_common(bank: Bank) -> None:
    published(bank, 2)
    north, south = on_air(bank.center, "north"), on_air(bank.center, "south")
    assert not {one.sealed for one in north} & {one.sealed for one in south}
    assert on_air(bank.center, "north") == north


def test_during_a_roll_over_everything_is_on_the_air_under_both_keys(bank: Bank) -> None:
    published(bank, 2)
    on_air(bank.center)
    roll_cipher_key(bank.center)
    assert names(on_air(bank.center)) == [(2, 2, 0), (2, 2, 1), (1, 2, 0), (1, 2, 1)]
    retire_cipher_key(bank.center, 1)
    assert names(on_air(bank.center)) == [(2, 2, 0), (2, 2, 1)]


def test_a_card_that_is_found_goes_off_by_a_step(bank: Bank) -> None:
    (one, *_) = published(bank, 2)
    card = bank.center.card_id(int(one.serials[0]))
    report_found(bank.center, card)
    publish(bank.center)
    step = opened(bank, on_air(bank.center)[1])
    assert isinstance(step, Delta)
    assert step.removed == 1


def test_the_list_is_as_long_as_the_cards_that_were_given_out(bank: Bank) -> None:
    (edition,) = published(bank, 1)
    bank.purse()
    assert edition.last == 1
    assert publish(bank.center).last == 2


def test_it_is_time_for_an_edition_when_one_is_due_or_a_report_came_in(bank: Bank) -> None:
    assert unpublished(bank.center)
    published(bank, 1)
    assert not unpublished(bank.center)
    report_stolen(bank.center, bank.purse().id)
    assert unpublished(bank.center)
    publish(bank.center)
    bank.time += 24 * HOUR - 1
    assert not unpublished(bank.center)
    bank.time += 1
    assert unpublished(bank.center)


def test_a_database_of_a_version_that_did_not_count_reports_gets_an_edition(bank: Bank) -> None:
    published(bank, 1)
    with bank.center.session() as session:
        session.execute(delete(SettingRow).where(SettingRow.name != "settings"))
    assert unpublished(bank.center)
    publish(bank.center)
    assert not unpublished(bank.center)
