"""A disk that is full or broken in the middle of a transaction: no money is lost, whatever the card is asked next."""

import pytest

from apdu.errors import OutcomeUnknownError, StoreError
from applet_model.backing import MemoryBacking
from applet_model.card import SmartCard
from host.model import ModelSlot
from host.session import PurseSession
from tests.applet_model.purses import new_purse, personalized
from tests.issuer import NOW


class FullDisk(MemoryBacking):
    """Fails at one write, as ENOSPC or EIO does, and works again after it."""

    left: int | None = None

    def write(self, offset: int, data: bytes) -> None:
        if self.left == 0:
            self.left = None
            raise StoreError("no space left on the disk")
        if self.left is not None:
            self.left -= 1
        super().write(offset, data)


def test_whichever_write_of_pay_fails_the_money_is_on_the_purse_or_on_its_way() -> None:
    seen, at = set(), 0
    while True:
        disk, payee = FullDisk(personalized(2, initial=1_000)), new_purse(3)
        slot = ModelSlot("payer", SmartCard(disk)).connect()
        payer = PurseSession(slot)
        asked = payee.session().request(100, payer.card, NOW)
        disk.left = at
        try:
            payer.pay(asked, NOW)
            break
        except OutcomeUnknownError:
            with pytest.raises(Exception, match="lost its power"):
                payer.verify(b"9999\xff\xff\xff\xff")
        payer = PurseSession(slot.connect())
        payer.get_parameters()
        state = (payer.selected.status.balance, payer.selected.status.unsettled, payer.get_counters().record)
        assert state in ((1_000, 0, 0), (900, 1, 1))
        seen.add(state)
        at += 1
    assert at == 5, "journal, purse, transfer, record, and the end of the journal"
    assert len(seen) == 2


def test_a_card_that_met_an_error_has_no_power() -> None:
    disk = FullDisk(personalized(2, initial=1_000))
    card = SmartCard(disk)
    PurseSession(ModelSlot("card", card).connect())
    disk.left = 0
    with pytest.raises(StoreError):
        card.transmit(bytes.fromhex("0020008108") + b"1234\xff\xff\xff\xff")
    assert not card.powered
