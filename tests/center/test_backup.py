"""A copy of the center while it runs: whole, of one moment, and no newer or older than it says."""

import stat
import threading
from pathlib import Path

import pytest

from apdu.errors import InputError, StoreError
from center.backup import back_up
from center.float_purse import open_float
from tests.center.bank import Bank

ISSUED = 1_000_000


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "center")
    bank.open_float(ISSUED)
    return bank


def test_a_copy_that_is_put_back_at_once_is_the_center(bank: Bank, tmp_path: Path) -> None:
    aoi = bank.purse()
    bank.load(aoi, 500)
    back_up(bank.center, tmp_path / "copy")
    bank.put_back(tmp_path / "copy")
    bank.load(aoi, 500)
    assert bank.purse().id.serial == 3
    assert bank.held == ISSUED - 1000


def test_a_copy_is_its_owners_alone(bank: Bank, tmp_path: Path) -> None:
    back_up(bank.center, tmp_path / "copy")
    names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "copy").iterdir()}
    assert names.keys() == {"center.sqlite", "float.card", "keys.json", "trust.json", "witness"}
    assert set(names.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700


def test_nothing_is_overwritten_and_nothing_is_left_half_made(bank: Bank, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with pytest.raises(InputError, match="never overwritten"):
        back_up(bank.center, tmp_path / "copy")
    with pytest.raises(InputError, match="there is no folder"):
        back_up(bank.center, tmp_path / "nowhere" / "copy")
    used = open_float(bank.center, bank.line)
    used.connect()
    with pytest.raises(StoreError, match="in use"):
        back_up(bank.center, tmp_path / "another")
    used.close()
    assert [path.name for path in tmp_path.iterdir() if "another" in path.name] == []


def test_a_float_that_does_not_agree_with_the_database_is_told(bank: Bank, tmp_path: Path) -> None:
    older = (bank.folder / "float.card").read_bytes()
    bank.load(bank.purse(), 500)
    (bank.folder / "float.card").write_bytes(older)
    with pytest.raises(StoreError, match="do not agree"):
        back_up(bank.center, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_copies_while_the_center_works_are_of_one_moment(bank: Bank, tmp_path: Path) -> None:
    """Each was opened, and its float is where its database says; the center waits for none of them for long."""
    aoi, ended, made = bank.purse(history=64), threading.Event(), 0

    def works() -> None:
        while not ended.is_set():
            try:
                bank.load(aoi, 1)
            except StoreError:
                continue
            if aoi.balance % 20 == 0:
                bank.renew(aoi)

    worker = threading.Thread(target=works)
    worker.start()
    try:
        while made < 3:
            try:
                back_up(bank.center, tmp_path / f"copy-{made}")
            except StoreError:
                continue  # the float was in use just then
            made += 1
    finally:
        ended.set()
        worker.join()
