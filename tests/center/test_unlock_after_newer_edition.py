"""A locked card may have seen editions that came after it was found: any terminal can bring it a newer head."""

from pathlib import Path

from apdu.identity import LifeCycle
from center.editions import publish, report_found, report_stolen, unlock_order
from tests.center.bank import Bank


def test_a_card_that_saw_a_newer_edition_while_locked_is_unlocked_all_the_same(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "center")
    aoi = bank.purse()
    report_stolen(bank.center, aoi.id)
    bank.lock(aoi)
    report_found(bank.center, aoi.id)
    aoi.session().put_date(publish(bank.center).head)
    aoi.session().unlock(unlock_order(bank.center, aoi.id))
    assert aoi.session().selected.status.state is LifeCycle.ACTIVE
