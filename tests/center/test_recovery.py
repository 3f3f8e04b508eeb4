"""How a center that is behind comes back: cards taken in again, numbers that go on above all that was given out."""

from collections.abc import Callable
from pathlib import Path

import pytest

from apdu.errors import InputError, RefusedError, StoreError
from apdu.identity import CardId, Role
from apdu.signature import point_of, private_key
from apdu.status import StatusError
from center.editions import listed, publish, report_stolen
from center.models import GapRow
from center.recovery import Finished, Plan, TakenIn, finish, take_in_card, take_in_edition
from center.standing import BehindError
from center.witness import Marks
from tests.center.bank import Bank, Purse

ISSUED = 1_000_000


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "center")
    bank.open_float(ISSUED)
    return bank


def take_in(bank: Bank, purse: Purse, holder: str = "somebody") -> TakenIn:
    return take_in_card(bank.center, purse.session(), holder)


def busy(bank: Bank, payer: Purse, payee: Purse) -> None:
    """So many payments and renewals that the payer's history goes round."""
    for _ in range(3):
        for _ in range(10):
            bank.pay(payer, payee, 10)
        bank.renew(payer)
        bank.renew(payee)


# --- the database, or the folder, is an older copy ----------------------------------------------------------


def test_cards_that_are_newer_than_the_copy_live_on(bank: Bank) -> None:
    """A card issued since is taken in by its own certificate, one whose history has gone round by what was signed."""
    aoi, sink = bank.purse(history=16), bank.purse(history=64)
    bank.load(aoi, 20_000)
    copy = bank.copy()
    bank.reopen()
    new = bank.purse()
    bank.load(new, 3_000)
    busy(bank, aoi, sink)
    bank.put_back(copy, "center.sqlite")
    with pytest.raises(BehindError):
        bank.renew(new)
    assert take_in(bank, new, "Chie") == TakenIn(new.id, new=True, record=1, records=1, lost=0)
    assert take_in(bank, aoi) == TakenIn(aoi.id, new=False, record=31, records=16, lost=15)
    assert take_in(bank, sink) == TakenIn(sink.id, new=False, record=30, records=30, lost=0)
    assert (new.id, Role.PERSON, "Chie") in bank.center.registered()
    assert finish(bank.center, Plan()) == Finished(serial=4, edition=0, new_float=None)
    assert bank.renew(aoi) > 4
    bank.pay(aoi, sink, 10)
    bank.renew(aoi)
    bank.renew(sink)
    assert bank.purse().id.serial == 5
    bank.load(aoi, 100)


def test_cards_that_nobody_has_taken_in_are_recognised_when_they_come(bank: Bank) -> None:
    aoi, sink = bank.purse(history=16), bank.purse(history=64)
    bank.load(aoi, 20_000)
    copy = bank.copy()
    bank.reopen()
    new = bank.purse()
    busy(bank, aoi, sink)
    bank.put_back(copy, "center.sqlite")
    finish(bank.center, Plan())
    for card in (new, aoi, sink):
        assert bank.renew(card) > 1
    with bank.center.session() as session:
        gap = session.get(GapRow, (aoi.id.serial, 1))
        assert gap is not None
        assert gap.last == 15
    for card in (new, aoi, sink):
        bank.renew(card)


def test_a_clone_is_still_found_after_a_gap(bank: Bank) -> None:
    aoi, sink = bank.purse(history=16), bank.purse(history=64)
    bank.load(aoi, 20_000)
    copy = bank.copy()
    bank.reopen()
    busy(bank, aoi, sink)
    bank.put_back(copy)
    clone = aoi.clone()
    finish(bank.center, Plan(lost_float=True))
    bank.renew(aoi)
    bank.pay(clone, bank.purse(), 5)
    bank.pay(aoi, sink, 1)
    bank.renew(aoi)
    with pytest.raises(RefusedError, match="clone"):
        bank.renew(clone)


def test_serials_and_editions_go_on_above(bank: Bank) -> None:
    copy = bank.copy()
    bank.reopen()
    lost = [bank.purse() for _ in range(3)]
    published = [publish(bank.center).number for _ in range(2)]
    bank.put_back(copy)
    assert finish(bank.center, Plan(lost_float=True)).serial == lost[-1].id.serial
    assert bank.purse().id.serial > lost[-1].id.serial
    assert publish(bank.center).number == published[-1] + 1


def test_an_id_that_was_given_out_before_the_copy_is_certified_by_nobody_any_more(bank: Bank) -> None:
    """It may have been certified since; its card, if there is one, is taken in by that certificate."""
    card = bank.center.allot(Role.PERSON, "Aoi")
    copy = bank.copy()
    bank.reopen()
    key = private_key(bytes(40))
    certificate, _ = bank.center.certify(card, point_of(key))
    bank.put_back(copy)
    finish(bank.center, Plan())
    with pytest.raises(RefusedError, match="it gets a new ID"):
        bank.center.certify(card, point_of(private_key(bytes([1]) * 40)))
    assert certificate.verify(point_of(bank.center.keys.certification)).subject == card


def test_the_list_comes_back_from_an_edition(bank: Bank) -> None:
    aoi = bank.purse()
    copy = bank.copy()
    bank.reopen()
    report_stolen(bank.center, aoi.id)
    edition = publish(bank.center)
    bank.put_back(copy)
    assert take_in_edition(bank.center, edition.encode()) == (1, 1)
    assert take_in_edition(bank.center, edition.head.raw) == (1, 0)
    assert listed(bank.center) == {aoi.id}
    finish(bank.center, Plan())
    assert publish(bank.center).serials.tolist() == [aoi.id.serial]


def test_what_is_no_edition_is_refused(bank: Bank, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither an edition"):
        take_in_edition(bank.center, b"anything")
    other = Bank(tmp_path / "other")
    with pytest.raises(Exception, match=r"sign|issuer"):
        take_in_edition(bank.center, publish(other.center).encode())


def test_a_strangers_card_is_not_taken_in(bank: Bank, tmp_path: Path) -> None:
    other = Bank(tmp_path / "other")
    with pytest.raises(RefusedError, match="no certificate of this center"):
        take_in(bank, [other.purse() for _ in range(3)][-1])


# --- the float ---------------------------------------------------------------------------------------------


def test_a_float_that_is_lost_is_made_anew_with_what_it_had(bank: Bank) -> None:
    aoi = bank.purse()
    older = (bank.folder / "float.card").read_bytes()
    bank.load(aoi, 500)
    (bank.folder / "float.card").write_bytes(older)
    with pytest.raises(RefusedError, match="--lost-float"):
        finish(bank.center, Plan())
    done = finish(bank.center, Plan(lost_float=True))
    assert done.new_float == CardId.of(1, 3)
    assert (bank.held, aoi.balance) == (ISSUED - 500, 500)
    assert CardId.of(1, 1) in listed(bank.center)
    assert (bank.folder / "float-1.card").read_bytes()
    bank.load(aoi, 100)
    bank.deposit(aoi, 50)
    assert (bank.held, aoi.balance) == (ISSUED - 550, 550)
    (bank.folder / "float.card").write_bytes(older)
    with pytest.raises(StoreError, match="older copy, or another card"):
        bank.load(aoi, 1)


@pytest.mark.parametrize("after", range(4))
def test_a_new_float_that_was_cut_is_gone_on_with(bank: Bank, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """It allots, certifies and writes the float down: cut before one of these, or not at all."""
    (bank.folder / "float.card").unlink()
    announce, left = bank.center.witnesses.announce, iter(range(after))

    def cut(known: Marks) -> None:
        if next(left, None) is None:
            raise StoreError("cut")
        announce(known)

    monkeypatch.setattr(bank.center.witnesses, "announce", cut)
    if after < 3:
        with pytest.raises((StoreError, StatusError)):
            finish(bank.center, Plan(lost_float=True))
        bank.reopen()
        with pytest.raises(StoreError, match=r"not replaced yet|No such file"):
            bank.load(bank.purse(), 1)
    bank.reopen()
    finish(bank.center, Plan(lost_float=True))
    assert bank.held == ISSUED
    bank.load(bank.purse(), 1)


def test_a_new_float_never_begins_with_more_than_the_newest_had(bank: Bank) -> None:
    bank.load(bank.purse(), 500)
    with pytest.raises(RefusedError, match="held 999500"):
        finish(bank.center, Plan(float_amount=ISSUED))


def test_an_older_folder_has_an_older_float(bank: Bank) -> None:
    aoi = bank.purse()
    copy = bank.copy()
    bank.reopen()
    bank.load(aoi, 500)
    bank.put_back(copy)
    with pytest.raises(RefusedError, match="--lost-float"):
        finish(bank.center, Plan())
    finish(bank.center, Plan(lost_float=True))
    assert (bank.held, aoi.balance) == (ISSUED - 500, 500)
    bank.load(aoi, 1)


# --- nobody knows how far it was ----------------------------------------------------------------------------


def older_without_witness(bank: Bank, act: Callable[[], object]) -> None:
    copy = bank.copy()
    bank.reopen()
    act()
    bank.lose_witness()
    bank.put_back(copy)


def test_a_center_that_has_moved_goes_on_as_it_is(bank: Bank) -> None:
    aoi = bank.purse()
    bank.load(aoi, 500)
    bank.lose_witness()
    bank.reopen()
    assert finish(bank.center, Plan(current=True)) == Finished(0, 0, None)
    bank.load(aoi, 1)
    assert bank.purse().id.serial == 3
    bank.reopen()
    bank.renew(aoi)


def test_a_center_that_was_called_current_and_is_not_is_found_out(bank: Bank) -> None:
    aoi = bank.purse()
    older_without_witness(bank, lambda: bank.renew(aoi))
    finish(bank.center, Plan(current=True))
    with pytest.raises(BehindError, match="was given credit 2"):
        bank.renew(aoi)
    with pytest.raises(RefusedError, match="not current"):
        finish(bank.center, Plan(current=True))
    finish(bank.center, Plan(newest_float=True))
    assert bank.renew(aoi) == 1002


def test_without_a_witness_a_margin_is_passed_over(bank: Bank) -> None:
    lost: list[Purse] = []
    older_without_witness(bank, lambda: lost.extend(bank.purse() for _ in range(2)))
    with pytest.raises(RefusedError, match=r"nothing tells whether.*--newest-float"):
        finish(bank.center, Plan())
    with pytest.raises(RefusedError, match=r"nobody knows.*--float AMOUNT"):
        finish(bank.center, Plan(lost_float=True))
    finish(bank.center, Plan(float_amount=ISSUED - 10, margin=50))
    assert bank.purse().id.serial == 53
    assert bank.held == ISSUED - 10
    for card in lost:
        bank.renew(card)
    assert publish(bank.center).number == 51


def test_what_a_recovery_passed_over_is_told_from_a_later_loss(bank: Bank) -> None:
    aoi = bank.purse()
    older_without_witness(bank, lambda: bank.renew(aoi))
    finish(bank.center, Plan(newest_float=True))
    assert bank.renew(aoi) == 1002
    copy, witness = bank.copy("another"), bank.center.witnesses.outer.path
    told = witness.read_bytes()
    bank.reopen()
    bank.renew(aoi)
    witness.write_bytes(told)
    bank.put_back(copy)
    with pytest.raises(BehindError, match="was given credit 1003"):
        bank.renew(aoi)


def test_the_lost_witness_that_turns_up_again_is_no_harm(bank: Bank) -> None:
    witness = bank.center.witnesses.outer.path
    older = witness.read_bytes()
    bank.lose_witness()
    bank.reopen()
    finish(bank.center, Plan(newest_float=True))
    witness.write_bytes(older)
    bank.reopen()
    with pytest.raises(BehindError, match=r"witness .* is an older copy"):
        bank.purse()
    finish(bank.center, Plan(current=True))
    assert bank.purse().id.serial == 1002
