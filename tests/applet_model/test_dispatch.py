"""Every life-cycle state × every INS, CLA, P1, P2 and the edges of Lc and Le: the documented word comes."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

import pytest

from apdu.command import CHAINING, SECURE_MESSAGING, CommandApdu
from apdu.commands import BY_INS, CHAIN_CAPACITY, COMMANDS, DATA_OBJECTS, Command, Ins
from apdu.identity import AID, LifeCycle
from apdu.payload import Tag, pack
from apdu.response import ResponseApdu
from apdu.status import StatusWord as W
from applet_model.dispatch import HANDLERS
from host.model import ModelSlot
from host.secure_connection import SecureConnection
from host.session import PurseSession
from tests.applet_model.cards import CopiedCard, image_in
from tests.applet_model.order_of_checks import expected, may_answer, valid
from tests.issuer import STATIC

STATES = list(LifeCycle)
OPEN = (LifeCycle.BLANK, LifeCycle.PERSONALIZATION)
every_state = pytest.mark.parametrize("state", STATES)
every_row = pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)


class Judge:
    """Sends commands to a card in a state, each after a reset, and compares with the table."""

    def __init__(self, state: LifeCycle) -> None:
        self.state, self.image = state, image_in(state)
        self.card, self.cases = CopiedCard(self.image), 0

    def check(self, command: CommandApdu, raw: bytes | None = None, *, selected: bool = True) -> None:
        if selected:
            self.card.selected()
        else:
            self.card.power_on()
        response = ResponseApdu.decode(self.card.transmit(command.encode() if raw is None else raw))
        self.cases += 1
        wanted = expected(command, self.state, selected=selected)
        where = f"{self.state.text}: {command}: {response.sw:04X}, not {wanted}"
        if wanted is None:
            assert may_answer(BY_INS[command.ins], response.sw), where
            self._fresh()
        else:
            assert (response.sw, response.data) == (wanted, b""), where
            assert self.card.image() == self.image, f"changed by {command}"

    def check_all(self, commands: Iterable[CommandApdu], *, selected: bool = True) -> int:
        for command in commands:
            self.check(command, selected=selected)
        return self.cases

    def _fresh(self) -> None:
        if self.card.image() != self.image:
            self.card = CopiedCard(self.image)


def of_ins(ins: int) -> CommandApdu:
    return valid(BY_INS[ins]) if ins in BY_INS else CommandApdu(0x00, ins, 0, 0)


# --- header ------------------------------------------------------------------------------------------------


def test_every_row_has_a_handler() -> None:
    assert HANDLERS.keys() | {Ins.GET_RESPONSE} == set(Ins) == {row.ins for row in COMMANDS}


@every_state
def test_every_ins(state: LifeCycle) -> None:
    commands = [of_ins(ins) for ins in range(256)]
    assert Judge(state).check_all(commands) == 256
    assert Judge(state).check_all(commands, selected=False) == 256


@every_state
def test_every_ins_in_the_other_class(state: LifeCycle) -> None:
    commands = [replace(of_ins(ins), cla=of_ins(ins).cla ^ 0x80) for ins in range(256)]
    assert Judge(state).check_all(commands) == 256


@every_state
def test_every_cla_with_every_command(state: LifeCycle) -> None:
    rows = [row for row in COMMANDS if row.ins is not Ins.GET_RESPONSE]
    commands = [replace(valid(row), cla=cla) for row, cla in product(rows, range(256))]
    assert Judge(state).check_all(commands) == 256 * 22


@pytest.mark.parametrize("bits", [CHAINING, SECURE_MESSAGING, CHAINING | SECURE_MESSAGING])
def test_get_response_obeys_the_order_of_checks(bits: int) -> None:
    Judge(LifeCycle.ACTIVE).check(CommandApdu(bits, Ins.GET_RESPONSE, 0, 0, ne=256))


@every_state
def test_every_p1_and_every_p2(state: LifeCycle) -> None:
    commands = [valid(row) for row in COMMANDS]
    judge = Judge(state)
    judge.check_all(replace(command, p1=p1) for command, p1 in product(commands, range(256)))
    judge.check_all(replace(command, p2=p2) for command, p2 in product(commands, range(256)))
    assert judge.cases == 2 * 256 * 23


def test_get_data_knows_its_objects_among_all_numbers() -> None:
    card = CopiedCard(image_in(LifeCycle.LOCKED_OUT)).selected()
    found = {n: card.send(0x00, Ins.GET_DATA, n >> 8, n & 0xFF, ne=256).sw for n in range(0x10000)}
    assert {n for n, sw in found.items() if sw != W.DATA_NOT_FOUND} == {row.number for row in DATA_OBJECTS}


# --- lengths -----------------------------------------------------------------------------------------------

SIZES = (0, 1, 4, 5, 7, 8, 9, 15, 16, 17, 254, 255, 256, 257, 1023, 1024, 1025, 65534, 65535)
SHORT_LE, EXTENDED_LE = (b"", b"\x01", b"\xff", b"\0"), (b"", b"\0\1", b"\1\0", b"\4\0", b"\xff\xff", b"\0\0")


def spellings(command: CommandApdu) -> list[bytes]:
    """Every way to write a command down: short where it fits, extended, and with every edge of Le."""
    size, head = len(command.data), command.header
    lc = size.to_bytes(1 if size < 256 else 2) if size else b""
    short = [head + lc + command.data + le for le in SHORT_LE if size < 256]
    if not size:
        return short + [head + b"\0" + le for le in EXTENDED_LE if le]
    return short + [head + b"\0" + size.to_bytes(2) + command.data + le for le in EXTENDED_LE]


@every_state
@every_row
def test_edges_of_lc_and_le(state: LifeCycle, row: Command) -> None:
    judge = Judge(state)
    for size in SIZES:
        command = valid(row).with_data(bytes(size))
        for raw in spellings(command):
            judge.check(command, raw)
    assert judge.cases == 9 + 11 * 10 + 7 * 6


MALFORMED = {
    "nothing": "",
    "three bytes": "00A404",
    "a byte too few": "00A4040006F053414946",
    "two bytes behind the data": "00A4040006F053414946550000",
    "Lc and Le of nothing": "00A404000000",
    "extended Lc of nothing": "00A4040000000000",
    "extended Lc of nothing, extended Le": "00A404000000000100",
    "extended Lc, a byte too few": "00A40400000006F053414946",
    "extended Lc with a short Le": "00A40400000006F0534149465500",
    "extended Lc, three bytes behind": "00A40400000006F05341494655000000",
}


@every_state
@pytest.mark.parametrize("name", MALFORMED)
def test_a_command_that_does_not_parse_is_of_wrong_length(state: LifeCycle, name: str) -> None:
    card = CopiedCard(image_in(state)).selected()
    before = card.image()
    assert card.transmit(bytes.fromhex(MALFORMED[name])).hex() == "6700"
    assert card.image() == before


# --- the order ---------------------------------------------------------------------------------------------


def test_order_of_checks() -> None:
    """One command in which everything is wrong; each repair uncovers the next complaint."""
    card = CopiedCard(image_in(LifeCycle.LOCKED_OUT))
    card.power_on()
    wrong = CommandApdu(0x45, 0x00, 0x01, 0x02, bytes(300))
    steps: list[tuple[dict[str, int | bytes], int]] = [
        ({}, 0x6E00),
        ({"cla": 0x97}, 0x6881),
        ({"cla": 0x14}, 0x6D00),
        ({"ins": Ins.ATTEST}, 0x6E00),
        ({"cla": 0x94}, 0x6882),
        ({"cla": 0x90}, 0x6884),
        ({"cla": 0x80}, 0x6985),
    ]
    for repair, sw in steps:
        wrong = replace(wrong, **repair)  # type: ignore[arg-type]  # one field at a time, each of its own type
        assert ResponseApdu.decode(card.transmit(wrong.encode())).sw == sw
    card.send(0x00, Ins.SELECT, 0x04, 0x0C, AID)
    assert [card.send(0x80, Ins.REQUEST, 1, 2, bytes(300)).sw, card.send(0x80, Ins.ATTEST, 1, 2).sw] == [
        W.LOCKED_OUT, W.WRONG_P1_P2,
    ]  # fmt: skip
    assert card.send(0x80, Ins.ATTEST, 0, 0, bytes(300)).sw == W.WRONG_LENGTH
    assert card.send(0x80, Ins.ATTEST, 0, 0, bytes(20)).sw == W.WRONG_DATA
    assert card.send(0x80, Ins.ATTEST, 0, 0, pack({Tag.CHALLENGE: bytes(16)})).sw >> 8 == 0x61


@pytest.mark.parametrize("size", [CHAIN_CAPACITY + 1, 65535])
def test_longest_extended_command(size: int) -> None:
    card = CopiedCard(image_in(LifeCycle.ACTIVE)).selected()
    assert card.send(0x80, Ins.LOCK_OUT, 0, 0, bytes(CHAIN_CAPACITY)).sw == W.WRONG_DATA
    assert card.send(0x80, Ins.LOCK_OUT, 0, 0, bytes(size)).sw == W.WRONG_LENGTH


@pytest.mark.parametrize("chain", [727, 768, 2048])
def test_the_longest_command_is_what_the_card_was_made_for(chain: int) -> None:
    image = bytearray(image_in(LifeCycle.ACTIVE))
    image[14:16] = chain.to_bytes(2)
    card = CopiedCard(bytes(image)).selected()
    assert card.send(0x80, Ins.LOCK_OUT, 0, 0, bytes(chain)).sw == W.WRONG_DATA
    assert card.send(0x80, Ins.LOCK_OUT, 0, 0, bytes(chain + 1)).sw == W.WRONG_LENGTH
    assert card.send(0x00, Ins.GET_DATA, 1, 7, ne=256).data[-2:] == chain.to_bytes(2)


# --- inside a secure channel -------------------------------------------------------------------------------


def opened(state: LifeCycle, level: int) -> tuple[CopiedCard, SecureConnection]:
    """A fresh card with an open channel."""
    card = CopiedCard(image_in(state))
    slot = ModelSlot("issuer", card).connect()
    PurseSession(slot)
    return card, SecureConnection.open(slot, lambda _: STATIC, level)


@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize("level", [0x01, 0x03])
def test_every_ins_under_secure_messaging(state: LifeCycle, level: int) -> None:
    # never wrapped: one has its own MAC, one is transport, and one begins a channel
    bare = (Ins.EXTERNAL_AUTHENTICATE, Ins.GET_RESPONSE, Ins.INITIALIZE_UPDATE)
    for ins in (ins for ins in range(256) if ins not in bare):
        _, channel = opened(state, level)
        command = of_ins(ins)
        sw = ResponseApdu.decode(channel.transmit(command.encode())).sw
        wanted = expected(command, state, protected=True)
        assert sw == wanted if wanted else may_answer(BY_INS[ins], sw), (command, hex(sw))


@pytest.mark.parametrize("state", OPEN)
def test_every_ins_in_plain_inside_the_channel(state: LifeCycle) -> None:
    beginning_and_end = (Ins.SELECT, Ins.INITIALIZE_UPDATE, Ins.EXTERNAL_AUTHENTICATE, Ins.GET_RESPONSE)
    for ins in range(256):
        card, _ = opened(state, 0x01)
        command = of_ins(ins)
        sw = ResponseApdu.decode(card.transmit(command.encode())).sw
        if ins in BY_INS and ins not in beginning_and_end:
            assert sw == W.SECURITY_STATUS
        else:
            wanted = expected(command, state)
            assert sw == wanted if wanted else may_answer(BY_INS[ins], sw), (command, hex(sw))
