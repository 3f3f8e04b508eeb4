"""The float: all the money there is, once; everything else only moves it."""

from pathlib import Path

import pytest

from apdu.errors import InputError, InUseError, RefusedError, StoreError
from apdu.identity import Role
from apdu.status import StatusError, StatusWord
from center.editions import report_stolen
from center.float_purse import create_float, open_float
from host.connection import CardSlot
from host.console import PanelDisplay
from host.model import HISTORY_RANGE, ModelSlot
from host.patience import PATIENCE, Patience
from host.session import PurseSession
from host.terminal.atm import Atm
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.transfer import transfer
from tests.center.bank import Bank, Purse
from tests.issuer import PIN

ISSUED = 1_000_000


class Pin:
    """The input of an ATM at which everybody has the PIN of the test cards."""

    def pin(self, _reason: str) -> bytes:
        return PIN


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "center")
    bank.open_float(ISSUED)
    return bank


@pytest.fixture
def atm(bank: Bank, tmp_path: Path) -> Atm:
    store = BlacklistStore.import_trust(tmp_path / "terminal", bank.center.trust.encode())
    return Atm(store, PanelDisplay(quiet=True), Pin(), lambda: bank.time)


def slot(purse: Purse) -> CardSlot:
    return ModelSlot("atm", purse.card)


def held(bank: Bank) -> int:
    """What the float holds now."""
    found = open_float(bank.center, bank.line)
    try:
        return PurseSession(found.connect()).selected.status.balance
    finally:
        found.close()


def test_the_float_holds_all_the_money_there_is(bank: Bank) -> None:
    assert held(bank) == ISSUED
    assert [(card.serial, role) for card, role, _ in bank.center.registered()] == [(1, Role.FLOAT)]


@pytest.mark.parametrize("amount", [1, 0xFFFFFFFF])
def test_any_amount_that_a_purse_can_hold(tmp_path: Path, amount: int) -> None:
    bank = Bank(tmp_path / "center")
    bank.open_float(amount)
    assert held(bank) == amount


def test_there_is_one_float(bank: Bank) -> None:
    with pytest.raises(InputError, match="first card"):
        create_float(bank.center, 1)
    assert held(bank) == ISSUED
    assert len(bank.center.registered()) == 1


@pytest.mark.parametrize("role", [Role.PERSON, Role.MERCHANT])
def test_no_other_card_begins_with_money(bank: Bank, role: Role) -> None:
    bank.purse(role)
    with pytest.raises(StatusError) as refused:
        bank.purse(role, born_with=1)
    assert refused.value.sw == StatusWord.WRONG_DATA


def test_load_and_deposit_move_money_and_make_none(bank: Bank, atm: Atm) -> None:
    aoi = bank.purse()
    atm.load(slot(aoi), 500, bank.line)
    assert (held(bank), aoi.balance) == (ISSUED - 500, 500)
    atm.deposit(slot(aoi), 200, bank.line)
    assert (held(bank), aoi.balance) == (ISSUED - 300, 300)


def test_a_float_that_is_empty_gives_nothing(tmp_path: Path) -> None:
    poor = Bank(tmp_path / "poor")
    poor.open_float(100)
    store = BlacklistStore.import_trust(tmp_path / "atm", poor.center.trust.encode())
    aoi, cash = poor.purse(), Atm(store, PanelDisplay(quiet=True), Pin(), lambda: poor.time)
    with pytest.raises(StatusError, match="too little money"):
        cash.load(slot(aoi), 101, poor.line)
    cash.load(slot(aoi), 100, poor.line)
    assert (held(poor), aoi.balance) == (0, 100)


def test_nobody_loads_more_than_a_card_may_hold(bank: Bank, atm: Atm) -> None:
    aoi = bank.purse()
    for amount in (50_001, 0):
        with pytest.raises(StatusError, match="9506"):
            atm.load(slot(aoi), amount, bank.line)
    assert (held(bank), aoi.balance) == (ISSUED, 0)


def test_a_listed_card_gets_nothing_out_of_the_float(bank: Bank, atm: Atm) -> None:
    aoi = bank.purse()
    report_stolen(bank.center, aoi.id)
    with pytest.raises(RefusedError, match="is listed"):
        atm.load(slot(aoi), 100, bank.line)
    assert (held(bank), aoi.balance) == (ISSUED, 0)


def test_the_float_renews_itself_before_its_history_is_full(bank: Bank) -> None:
    credit, aoi = [], bank.purse(history=HISTORY_RANGE[-1])
    for _ in range(HISTORY_RANGE[-1] // 2 + 2):
        found = open_float(bank.center, bank.line)
        try:
            session = PurseSession(found.connect())
            transfer(session, aoi.session(), 1, bank.time, lambda _: PIN)
            credit.append(session.get_credit()[0].body.serial)
        finally:
            found.close()
        if credit[-1] > 1:
            break
    assert credit[-2:] == [1, 2]
    assert held(bank) == ISSUED - len(credit)


def test_the_float_is_the_same_after_the_center_was_closed(bank: Bank, atm: Atm) -> None:
    aoi = bank.purse()
    atm.load(slot(aoi), 500, bank.line)
    bank.center.close()
    assert held(bank) == ISSUED - 500


def test_a_float_in_use_is_told_as_such(bank: Bank) -> None:
    used = open_float(bank.center, bank.line)
    used.connect()
    told: list[str] = []
    before = PATIENCE.set(Patience(0.5, told.append))
    try:
        with pytest.raises(InUseError, match="in use by another process"):
            open_float(bank.center, bank.line)
        assert [line.startswith("waiting for float: ") for line in told] == [True]
    finally:
        PATIENCE.reset(before)
        used.close()


def test_a_float_that_is_lost_is_told_as_such(bank: Bank) -> None:
    (bank.folder / "float.card").unlink()
    with pytest.raises(StoreError, match=r"float\.card"):
        held(bank)


def test_a_float_of_another_center_is_worth_nothing(bank: Bank, atm: Atm, tmp_path: Path) -> None:
    other = Bank(tmp_path / "other")
    other.open_float(ISSUED)
    (bank.folder / "float.card").write_bytes((other.folder / "float.card").read_bytes())
    aoi = bank.purse()
    with pytest.raises(StatusError, match="9509"):
        atm.load(slot(aoi), 100, bank.line)
    assert aoi.balance == 0
