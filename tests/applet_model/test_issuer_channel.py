"""The issuer's channel on the card: keys and their tries, what ends a channel, what is refused inside it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from apdu.command import CommandApdu
from apdu.commands import SECURITY_LEVELS, Ins
from apdu.dgi import Dgi, encode_dgi
from apdu.errors import SecureChannelError
from apdu.identity import LifeCycle
from apdu.response import ResponseApdu
from applet_model.memory_map import SCP_TRIES, ChipKeys, blank_image
from host.scp03 import StaticKeys
from host.secure_connection import SecureConnection
from tests.applet_model.cards import ISSUER, SERIAL, CopiedCard, blank, image_in
from tests.applet_model.personalizing import Personalizing, begun
from tests.issuer import CHIP, STATIC

GOOD = encode_dgi(Dgi.PARAMETERS, ISSUER.parameters(SERIAL).encode())

# --- keys and tries ----------------------------------------------------------------------------------------


def initialize(card: CopiedCard, version: int = 0) -> ResponseApdu:
    return card.send(0x80, Ins.INITIALIZE_UPDATE, version, 0, bytes(8), 256)


def authenticate_wrongly(card: CopiedCard) -> int:
    initialize(card)
    return card.send(0x84, Ins.EXTERNAL_AUTHENTICATE, 0x33, 0, bytes(16)).sw


def test_the_host_sees_a_wrong_key_before_a_try_is_burned() -> None:
    card = blank()
    wrong = StaticKeys(STATIC.enc, bytes(16), STATIC.dek)
    for _ in range(SCP_TRIES + 1):
        with pytest.raises(SecureChannelError, match="cryptogram"):
            SecureConnection.open(card.selected(), lambda _: wrong, 0x33)
    assert Personalizing(card).generate()


def test_ten_wrong_cryptograms_block_the_keys() -> None:
    card = blank().selected()
    assert [authenticate_wrongly(card) for _ in range(SCP_TRIES)] == [0x6982] * SCP_TRIES
    assert initialize(card).sw == 0x6983
    assert initialize(card.selected()).sw == 0x6983


def test_the_right_cryptogram_gives_the_tries_back() -> None:
    card = blank().selected()
    for _ in range(3):
        assert {authenticate_wrongly(card) for _ in range(SCP_TRIES - 1)} == {0x6982}
        assert Personalizing(card).generate()


def test_initialize_update_alone_burns_no_try() -> None:
    card = blank().selected()
    assert {initialize(card).sw for _ in range(3 * SCP_TRIES)} == {0x9000}
    assert Personalizing(card).generate()


def test_a_wrong_cryptogram_ends_the_channel() -> None:
    card = blank().selected()
    assert authenticate_wrongly(card) == 0x6982
    assert card.send(0x84, Ins.EXTERNAL_AUTHENTICATE, 0x33, 0, bytes(16)).sw == 0x6985


def test_external_authenticate_follows_initialize_update() -> None:
    assert blank().selected().send(0x84, Ins.EXTERNAL_AUTHENTICATE, 0x33, 0, bytes(16)).sw == 0x6985


def test_sequence_counter_and_challenge_move_on() -> None:
    card = blank().selected()
    first, second = initialize(card).data, initialize(card.selected()).data
    assert (int.from_bytes(first[29:]), int.from_bytes(second[29:])) == (1, 2)
    assert first[:13] == second[:13] == CHIP.diversification + b"\xff\x03\x70"
    assert first[13:21] != second[13:21]


def test_a_sequence_counter_at_its_end_blocks() -> None:
    card = blank()
    at = card._cells.scp_sequence.offset
    last = CopiedCard(card.image()[:at] + b"\xff\xff\xff" + card.image()[at + 3 :]).selected()
    assert initialize(last).sw == 0x6983


@pytest.mark.parametrize(("version", "sw"), [(0, 0x9000), (255, 0x9000), (1, 0x6A88), (254, 0x6A88)])
def test_key_version(version: int, sw: int) -> None:
    assert initialize(blank().selected(), version).sw == sw


@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("level", SECURITY_LEVELS)
def test_every_key_size_at_every_level(size: int, level: int) -> None:
    keys = StaticKeys(*(bytes(range(i, i + size)) for i in range(3)))
    card = CopiedCard(blank_image(ChipKeys(bytes(10), 7, keys.enc, keys.mac, keys.dek), 8, 1))
    channel = SecureConnection.open(card.selected(), lambda _: keys, level, 7)
    command = CommandApdu(0x80, Ins.GENERATE_KEY_PAIR, 0x80, 0, ne=256)
    answers = [ResponseApdu.decode(channel.transmit(command.encode())) for _ in range(3)]
    assert [(len(answer.data), answer.sw) for answer in answers] == [(70, 0x9000)] * 3


# --- the channel -------------------------------------------------------------------------------------------


def test_a_wrong_mac_ends_the_channel() -> None:
    work = begun()
    assert work.card.send(0x84, Ins.STORE_DATA, 0x08, 0, bytes(40)).sw == 0x6988
    assert work.card.send(0x84, Ins.STORE_DATA, 0x08, 0, bytes(40)).sw == 0x6882
    assert work.card.send(0x80, Ins.GENERATE_KEY_PAIR, 0x80, 0).sw == 0x6982


def test_initialize_update_never_comes_inside_a_channel_and_the_channel_goes_on() -> None:
    work = begun()
    for cla in (0x84, 0x94):
        assert work.card.send(cla, Ins.INITIALIZE_UPDATE, 0, 0, bytes(16), 256).sw == 0x6E00
    assert work.store(GOOD) == 0x9000


@pytest.mark.parametrize("long", [False, True])
def test_the_mac_is_over_the_length_as_it_is_written(long: bool) -> None:
    plain, words = CommandApdu(0x80, Ins.STORE_DATA, 0x08, 0, GOOD, 256, long=long), []
    for written in (long, not long):
        work = begun()
        sent = work.channel._channel.wrap(plain)
        words.append(ResponseApdu.decode(work.card.transmit(replace(sent, long=written).encode())).sw)
    assert words == [0x9000, 0x6988]


def test_a_plain_command_inside_the_channel_is_refused_and_the_channel_goes_on() -> None:
    work = begun()
    before = work.card.image()
    assert work.card.send(0x80, Ins.GENERATE_KEY_PAIR, 0x80, 0).sw == 0x6982
    assert work.card.send(0x80, Ins.STORE_DATA, 0x08, 0, GOOD).sw == 0x6982
    assert work.card.image() == before
    assert work.store(GOOD) == 0x9000


def test_commands_of_personalization_want_the_channel() -> None:
    card = CopiedCard(image_in(LifeCycle.PERSONALIZATION)).selected()
    assert card.send(0x80, Ins.GENERATE_KEY_PAIR, 0x81, 0).sw == 0x6982
    assert card.send(0x80, Ins.STORE_DATA, 0x08, 0, GOOD).sw == 0x6982


ENDS: dict[str, Callable[[CopiedCard], object]] = {
    "SELECT": lambda card: card.send(0x00, Ins.SELECT, 4, 0x0C, b"\xf0SAIFU"),
    "reset": lambda card: card.selected(),
    "INITIALIZE UPDATE": initialize,
}


@pytest.mark.parametrize("name", ENDS)
def test_what_ends_the_channel(name: str) -> None:
    work = begun()
    ENDS[name](work.card)
    assert work.send(Ins.GENERATE_KEY_PAIR, 0x81, 0).sw == 0x6882
