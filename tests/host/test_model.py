"""The adapter to the card model: slots in this process, cards in memory and in files."""

from pathlib import Path

import pytest

from apdu.errors import CardRemovedError, NoCardError, OutcomeUnknownError, StoreError
from applet_model.card import Protocol
from applet_model.memory import Cut
from host.connection import CardConnection, CardSlot, Ejection
from host.model import CardFile, ModelSlot, SmartCard, create_card, memory_card
from host.session import PurseSession
from tests.issuer import CHIP, NOW, Issuer

ISSUER = Issuer()
SELECT = bytes.fromhex("00a4040006f0534149465500")


def purse() -> SmartCard:
    card = memory_card(CHIP)
    ISSUER.personalize(card, ISSUER.parameters(1))
    return card


def file_purse(path: Path) -> None:
    """A personalized card in a file."""
    create_card(path, CHIP, 64, 4)
    card = CardFile(path)
    ISSUER.personalize(card, ISSUER.parameters(1))
    card.close()


def test_a_model_slot_is_slot_and_connection() -> None:
    slot: CardSlot = ModelSlot("left", purse())
    connection: CardConnection = slot.connect()
    assert slot.name == "left"
    assert connection.transmit(SELECT)[-2:] == b"\x90\x00"


def test_an_empty_slot_has_no_card() -> None:
    slot = ModelSlot("left")
    with pytest.raises(NoCardError, match="left"):
        slot.connect()
    with pytest.raises(CardRemovedError, match="left"):
        slot.transmit(SELECT)
    slot.insert(purse())
    assert PurseSession(slot.connect()).card == ISSUER.id(1)


def test_a_card_without_power_has_not_seen_the_command() -> None:
    card = purse()
    slot = ModelSlot("left", card)
    with pytest.raises(CardRemovedError):
        slot.transmit(SELECT)
    slot.connect()
    card.power_off()
    with pytest.raises(CardRemovedError):
        slot.transmit(SELECT)


def test_connecting_again_is_a_reset() -> None:
    slot = ModelSlot("left", purse())
    session = PurseSession(slot.connect())
    session.get_counters()
    assert slot.connect().transmit(bytes.fromhex("00ca010200"))[-2:] == b"\x69\x85"


def test_an_ejected_card_is_out_a_closed_one_is_not() -> None:
    slot = ModelSlot("left", purse())
    slot.connect()
    slot.close()
    slot.connect()
    assert slot.eject() is Ejection.EJECTED
    with pytest.raises(NoCardError):
        slot.connect()


def test_a_cut_in_a_command_leaves_its_outcome_unknown() -> None:
    card = purse()
    slot = ModelSlot("left", card)
    session = PurseSession(slot.connect())
    card.tear(0, Cut.AFTER)
    with pytest.raises(OutcomeUnknownError, match="put the card in again"):
        session.request(100, ISSUER.id(2), NOW)
    with pytest.raises(CardRemovedError):
        session.select()
    assert PurseSession(slot.connect()).get_counters().requests == 1


def test_a_cut_in_the_recovery_is_a_card_that_was_taken_out() -> None:
    card = purse()
    slot = ModelSlot("left", card)
    session = PurseSession(slot.connect())
    card.tear(1, Cut.HALF)
    with pytest.raises(OutcomeUnknownError):
        session.request(100, ISSUER.id(2), NOW)
    card.tear(0, Cut.HALF)
    with pytest.raises(CardRemovedError):
        slot.connect()
    assert PurseSession(slot.connect()).get_counters().requests == 1


# --- cards in files ----------------------------------------------------------------------------------------


def test_a_card_in_a_file_remembers(tmp_path: Path) -> None:
    path = tmp_path / "a.card"
    file_purse(path)
    slot = ModelSlot("file", path=path)
    PurseSession(slot.connect()).request(100, ISSUER.id(2), NOW)
    slot.eject()
    assert PurseSession(slot.connect()).get_counters().requests == 1
    slot.close()


def test_a_card_in_a_file_is_in_one_slot_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.card"
    file_purse(path)
    slot = ModelSlot("file", path=path)
    slot.connect()
    with pytest.raises(StoreError, match="in use"):
        ModelSlot("other", path=path).connect()
    slot.close()
    other = ModelSlot("other", path=path)
    assert PurseSession(other.connect()).card == ISSUER.id(1)
    other.close()


def test_a_blank_card_never_replaces_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.card"
    file_purse(path)
    before = path.read_bytes()
    with pytest.raises(StoreError):
        create_card(path, CHIP, 64, 4)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [None, b"", b"SAIFU-CARD\x01", b"hello" * 1000])
def test_what_is_no_card_image_gives_the_file_back(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.card"
    if content is not None:
        path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(StoreError):
            ModelSlot("file", path=path).connect()


def test_a_card_in_a_file_speaks_either_protocol(tmp_path: Path) -> None:
    path = tmp_path / "a.card"
    file_purse(path)
    for protocol in Protocol:
        card = CardFile(path, protocol)
        assert PurseSession(ModelSlot("file", card).connect()).card == ISSUER.id(1)
        card.close()
