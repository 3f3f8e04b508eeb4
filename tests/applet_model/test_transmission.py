"""Answers in pieces (61xx), wrong Le (6Cxx), held answers, and chains of commands, over T=1 and T=0."""

from functools import reduce
from operator import xor

import pytest

from apdu.command import CHAINING, CommandApdu
from apdu.commands import CHAIN_CAPACITY, Ins
from apdu.errors import CardRemovedError
from apdu.identity import AID, LifeCycle
from apdu.payload import Tag, pack
from apdu.response import ResponseApdu
from applet_model.card import Protocol, SmartCard, answer_to_reset
from applet_model.memory import PowerCutError
from host.model import ModelSlot
from tests.applet_model.cards import ISSUER, SERIAL, CopiedCard, image_in, purse, session
from tests.issuer import NOW, balance, transfer

CHALLENGE = pack({Tag.CHALLENGE: bytes(range(16))})
ATTESTED = 326
"""Bytes of ATTEST's answer, the only one that is longer than a short answer can be."""
protocols = pytest.mark.parametrize("protocol", Protocol)


def active(protocol: Protocol = Protocol.T1) -> CopiedCard:
    return CopiedCard(image_in(LifeCycle.ACTIVE), protocol=protocol).selected()


def whole(card: CopiedCard) -> bytes:
    """The answer to ATTEST in one piece."""
    response = card.send(0x80, Ins.ATTEST, data=CHALLENGE, ne=65536)
    assert (len(response.data), response.sw) == (ATTESTED, 0x9000)
    return response.data


def get_response(card: CopiedCard, ne: int | None) -> ResponseApdu:
    return card.send(0x00, Ins.GET_RESPONSE, ne=ne)


def fetch(card: CopiedCard, first: ResponseApdu, ne: int) -> bytes:
    """Follow 61xx in pieces of at most ``ne``, and check what each word announces."""
    data = first.data
    response = first
    while response.sw >> 8 == 0x61:
        left = ATTESTED - len(data)
        assert response.sw & 0xFF == (left if left < 256 else 0)
        response = get_response(card, min(ne, left))
        assert len(response.data) == min(ne, left)
        data += response.data
    assert response.sw == 0x9000
    return data


# --- 61xx --------------------------------------------------------------------------------------------------


@protocols
@pytest.mark.parametrize("first", [None, 1, 10, 255, 256])
@pytest.mark.parametrize("piece", [1, 7, 70, 255, 256])
def test_a_long_answer_comes_in_pieces(protocol: Protocol, first: int | None, piece: int) -> None:
    card = active(protocol)
    expected = whole(card)
    begun = card.send(0x80, Ins.ATTEST, data=CHALLENGE, ne=first)
    # at T=0 no Le goes over the wire beside data
    assert len(begun.data) == (0 if protocol is Protocol.T0 else first or 0)
    assert fetch(card, begun, piece) == expected


def test_get_response_without_le_brings_nothing_and_loses_nothing() -> None:
    card = active()
    begun = card.send(0x80, Ins.ATTEST, data=CHALLENGE, ne=256)
    assert get_response(card, None) == ResponseApdu(sw=0x6100 | ATTESTED - 256)
    assert fetch(card, begun, 256) == whole(card)


def test_get_response_with_nothing_held() -> None:
    card = active()
    assert get_response(card, 256).sw == 0x6985
    fetch(card, card.send(0x80, Ins.ATTEST, data=CHALLENGE, ne=256), 256)
    assert get_response(card, 256).sw == 0x6985


@pytest.mark.parametrize(
    "other",
    [
        CommandApdu(0x00, Ins.GET_DATA, 1, 0, ne=256),
        CommandApdu(0x00, Ins.SELECT, 4, 0x0C, AID),
        CommandApdu(0x00, 0x00, 0, 0),
        CommandApdu(0xFF, Ins.GET_DATA, 1, 0),
        CommandApdu(0x80 | CHAINING, Ins.LOCK_OUT, 0, 0, b"\x8c"),
        CommandApdu(0x00, Ins.GET_RESPONSE, 1, 0, ne=256),
        CommandApdu(0x00, Ins.GET_RESPONSE, 0, 0, b"\0", ne=256),
    ],
    ids=["GET DATA", "SELECT", "unknown INS", "unknown CLA", "part of a chain", "wrong P1", "with data"],
)
def test_another_command_drops_what_is_held(other: CommandApdu) -> None:
    card = active()
    assert card.send(0x80, Ins.ATTEST, data=CHALLENGE).sw == 0x6100
    card.transmit(other.encode())
    assert get_response(card, 256).sw == 0x6985


def test_a_reset_drops_what_is_held() -> None:
    card = active()
    assert card.send(0x80, Ins.ATTEST, data=CHALLENGE).sw == 0x6100
    assert get_response(card.selected(), 256).sw == 0x6985


def test_a_warning_comes_with_the_last_piece() -> None:
    card = CopiedCard(image_in(LifeCycle.LOCKED_OUT)).selected()
    announced = card.send(0x00, Ins.SELECT, 4, 0, AID)
    assert announced.sw >> 8 == 0x61
    last = get_response(card, announced.sw & 0xFF)
    assert (len(last.data), last.sw) == (announced.sw & 0xFF, 0x6283)


# --- 6Cxx --------------------------------------------------------------------------------------------------


@protocols
def test_a_wrong_le_is_told_and_the_right_one_brings_the_answer(protocol: Protocol) -> None:
    card = active(protocol)
    assert card.send(0x00, Ins.GET_DATA, 0x01, 0x07, ne=1) == ResponseApdu(sw=0x6C08)
    answer = card.send(0x00, Ins.GET_DATA, 0x01, 0x07, ne=8)
    assert (len(answer.data), answer.sw) == (8, 0x9000)


def paying() -> tuple[CopiedCard, bytes]:
    """A payer, and a PAY of 100 for it."""
    payer, payee = purse(1, 1000), purse(2)
    requested = session(payee).request(100, ISSUER.id(1), NOW)
    data = {Tag.CERTIFICATE: requested.certificate.raw, Tag.REQUEST: requested.request.encode()}
    return payer.selected(), pack(data)


def payments(card: CopiedCard) -> int:
    """How often the card has paid."""
    return session(card).get_counters().payments


def test_after_6cxx_the_same_command_is_not_executed_again() -> None:
    payer, data = paying()
    told = payer.send(0x80, Ins.PAY, data=data, ne=1)
    assert told == ResponseApdu(sw=0x6CF4)
    assert payer.send(0x80, Ins.PAY, data=data, ne=2) == told
    paid = payer.send(0x80, Ins.PAY, data=data, ne=0xF4)
    assert (len(paid.data), paid.sw) == (0xF4, 0x9000)
    assert (payments(payer), balance(ModelSlot("payer", payer))) == (1, 900)


def test_after_6cxx_the_answer_may_be_fetched_with_get_response() -> None:
    payer, data = paying()
    payer.send(0x80, Ins.PAY, data=data, ne=1)
    assert len(get_response(payer, 0xF4).data) == 0xF4
    assert payments(payer) == 1


def test_once_delivered_the_same_command_is_a_new_one() -> None:
    payer, data = paying()
    assert [payer.send(0x80, Ins.PAY, data=data, ne=ne).sw for ne in (1, 0xF4, 0xF4)] == [0x6CF4, 0x9000, 0x9000]
    assert payments(payer) == 2


def test_after_6cxx_a_command_with_other_data_is_executed() -> None:
    payer, data = paying()
    assert payer.send(0x80, Ins.PAY, data=data, ne=1).sw == 0x6CF4
    dated = data + pack({Tag.DATE: NOW.to_bytes(4)})
    assert payer.send(0x80, Ins.PAY, data=dated, ne=0xF4).sw == 0x9000
    assert payments(payer) == 2


# --- T=0 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ne", [1, 7, 9, 255, 256])
def test_t0_wants_the_exact_le(ne: int) -> None:
    card = active(Protocol.T0)
    assert card.send(0x00, Ins.GET_DATA, 0x01, 0x07, ne=ne) == ResponseApdu(sw=0x6C08)
    assert card.send(0x00, Ins.GET_DATA, 0x01, 0x07, ne=8).sw == 0x9000


def test_t1_gives_what_there_is() -> None:
    assert len(active().send(0x00, Ins.GET_DATA, 0x01, 0x07, ne=9).data) == 8


def test_t0_announces_the_answer_to_a_command_with_data() -> None:
    card = active(Protocol.T0)
    announced = card.send(0x00, Ins.SELECT, 4, 0, AID)
    assert announced.sw >> 8 == 0x61
    size = announced.sw & 0xFF
    assert get_response(card, size + 1) == ResponseApdu(sw=0x6C00 | size)
    assert len(get_response(card, size).data) == size


@pytest.mark.parametrize("ne", [None, 256])
def test_t0_get_response_with_le_00_or_none_asks_for_256_bytes(ne: int | None) -> None:
    card = active(Protocol.T0)
    size = card.send(0x00, Ins.SELECT, 4, 0, AID).sw & 0xFF
    assert get_response(card, ne) == ResponseApdu(sw=0x6C00 | size)
    assert len(get_response(card, size).data) == size


def test_t0_without_le_asks_for_256_bytes() -> None:
    card = active(Protocol.T0)
    assert card.send(0x00, Ins.GET_DATA, 0x01, 0x07) == ResponseApdu(sw=0x6C08)
    assert card.send(0x00, Ins.GET_DATA, 0x01, 0x07, ne=8).sw == 0x9000


def test_t0_get_response_with_an_extended_le_brings_all() -> None:
    card = active(Protocol.T0)
    assert card.send(0x80, Ins.ATTEST, data=CHALLENGE).sw == 0x6100
    assert len(get_response(card, 1000).data) == ATTESTED


def test_cards_of_both_protocols_pay_each_other() -> None:
    old, new = CopiedCard(purse(1, 1000).image(), 1, Protocol.T0), purse(2)
    payer, payee = ModelSlot("old", old).connect(), ModelSlot("new", new).connect()
    transfer(payer, payee, 100)
    transfer(payee, payer, 30)
    assert (balance(payer), balance(payee)) == (930, 70)


# --- chains ------------------------------------------------------------------------------------------------

EDITION = ISSUER.edition(1, SERIAL, *range(10_000, 10_000_000, 400_000))
LOCK_OUT = pack({Tag.HEAD: EDITION.head.raw, Tag.PROOF: EDITION.tree.prove(SERIAL).encode()})


def send_chain(card: CopiedCard, data: bytes, size: int) -> list[int]:
    """Send LOCK OUT in parts; return all status words."""
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    words = [card.send(0x90, Ins.LOCK_OUT, data=part).sw for part in parts[:-1]]
    return [*words, card.send(0x80, Ins.LOCK_OUT, data=parts[-1]).sw]


def is_locked(card: CopiedCard) -> bool:
    return session(card).selected.status.state is LifeCycle.LOCKED_OUT


@protocols
@pytest.mark.parametrize("size", [1, 100, 254, 255, CHAIN_CAPACITY])
def test_a_chain_is_one_command(protocol: Protocol, size: int) -> None:
    card = active(protocol)
    assert len(LOCK_OUT) > 255
    assert set(send_chain(card, LOCK_OUT, size)) == {0x9000}
    assert is_locked(card)


def test_an_empty_part_adds_nothing() -> None:
    card = active()
    assert card.send(0x90, Ins.LOCK_OUT).sw == 0x9000
    assert set(send_chain(card, LOCK_OUT, 200)) == {0x9000}


BREAKS = {
    "another command": (CommandApdu(0x80, Ins.ATTEST, 0, 0, CHALLENGE, 256), 0x6883),
    "SELECT": (CommandApdu(0x00, Ins.SELECT, 4, 0x0C, AID), 0x9000),
    "SELECT of nobody": (CommandApdu(0x00, Ins.SELECT, 4, 0x0C, AID + b"\0"), 0x6A82),
    "another P1": (CommandApdu(0x80, Ins.LOCK_OUT, 1, 0, LOCK_OUT[100:]), 0x6883),
    "another P2, not the last": (CommandApdu(0x90, Ins.LOCK_OUT, 0, 1, LOCK_OUT[100:200]), 0x6883),
    "a chain of another command": (CommandApdu(0x90, Ins.ATTEST, 0, 0, CHALLENGE), 0x6884),
    "unknown INS": (CommandApdu(0x80, 0x00, 0, 0), 0x6D00),
    "unknown CLA": (CommandApdu(0xC0, Ins.LOCK_OUT, 0, 0, LOCK_OUT[100:]), 0x6E00),
    "GET RESPONSE": (CommandApdu(0x00, Ins.GET_RESPONSE, 0, 0, ne=256), 0x6985),
    "secure messaging": (CommandApdu(0x84, Ins.LOCK_OUT, 0, 0, LOCK_OUT[100:]), 0x6882),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_chain_is_given_up(name: str) -> None:
    other, sw = BREAKS[name]
    card = active()
    assert card.send(0x90, Ins.LOCK_OUT, data=LOCK_OUT[:100]).sw == 0x9000
    assert ResponseApdu.decode(card.transmit(other.encode())) == ResponseApdu(sw=sw)
    assert card.send(0x80, Ins.LOCK_OUT, data=LOCK_OUT[100:]).sw == 0x6A80
    assert not is_locked(card)
    assert set(send_chain(card.selected(), LOCK_OUT, 255)) == {0x9000}


def test_select_in_a_chain_selects_anew() -> None:
    card = CopiedCard(image_in(LifeCycle.ACTIVE))
    session(card).verify(b"1234\xff\xff\xff\xff")
    card.send(0x90, Ins.LOCK_OUT, data=LOCK_OUT[:100])
    card.send(0x00, Ins.SELECT, 4, 0x0C, AID)
    assert card.send(0x00, Ins.VERIFY, 0, 0x81).sw == 0x63C3


def test_a_reset_gives_a_chain_up() -> None:
    card = active()
    card.send(0x90, Ins.LOCK_OUT, data=LOCK_OUT[:100])
    assert card.selected().send(0x80, Ins.LOCK_OUT, data=LOCK_OUT[100:]).sw == 0x6A80


@pytest.mark.parametrize("last", [0x80, 0x90])
def test_a_chain_that_is_too_long_is_given_up(last: int) -> None:
    card = active()
    assert {card.send(0x90, Ins.LOCK_OUT, data=bytes(128)).sw for _ in range(CHAIN_CAPACITY // 128)} == {0x9000}
    assert card.send(last, Ins.LOCK_OUT, data=b"\0").sw == 0x6700
    assert set(send_chain(card, LOCK_OUT, 255)) == {0x9000}


def test_a_chain_may_fill_the_capacity() -> None:
    card = active()
    assert {card.send(0x90, Ins.LOCK_OUT, data=bytes(128)).sw for _ in range(CHAIN_CAPACITY // 128)} == {0x9000}
    assert card.send(0x80, Ins.LOCK_OUT).sw == 0x6A80


# --- power -------------------------------------------------------------------------------------------------


def test_a_card_without_power_does_not_answer() -> None:
    card = active()
    card.power_off()
    with pytest.raises(PowerCutError):
        card.transmit(b"\x00\xa4\x04\x00")
    with pytest.raises(CardRemovedError):
        ModelSlot("slot", card).transmit(b"\x00\xa4\x04\x00")


def test_power_on_and_reset_give_the_atr() -> None:
    card: SmartCard = CopiedCard(image_in(LifeCycle.BLANK))
    assert card.power_on() == card.reset() == answer_to_reset(Protocol.T1)
    assert card.powered


@protocols
def test_atr_is_as_iso_7816_3_has_it(protocol: Protocol) -> None:
    atr = answer_to_reset(protocol)
    count = atr[1] & 0x0F
    assert (atr[0], atr[1] & 0x70) == (0x3B, 0x00)
    if protocol is Protocol.T0:
        assert (atr[1] >> 7, len(atr)) == (0, 2 + count)
    else:
        assert (atr[1] >> 7, atr[2], len(atr)) == (1, 0x01, 4 + count)
        assert reduce(xor, atr[1:]) == 0
