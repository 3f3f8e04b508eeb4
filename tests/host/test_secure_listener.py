"""Who has the keys reads what a secure channel carried, and sees what does not verify."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.command import CommandApdu
from apdu.commands import SECURITY_LEVELS, Ins
from apdu.errors import InputError, SecureChannelError
from apdu.identity import AID
from apdu.response import ResponseApdu
from apdu.status import StatusError
from apdu.trace.model import Exchange
from apdu.trace.reading import Opened
from host.connection import CardConnection
from host.model import ModelSlot, memory_card
from host.scp03 import InitializeUpdateAnswer, StaticKeys
from host.secure_connection import SecureConnection
from host.secure_listener import MOST_SLOTS, SecureListener
from host.session import PurseSession
from tests.issuer import CHIP, STATIC

levels = pytest.mark.parametrize("level", SECURITY_LEVELS)
GENERATE = CommandApdu(0x80, Ins.GENERATE_KEY_PAIR, 0x80, 0, ne=256).encode()
STORE = CommandApdu(0x80, Ins.STORE_DATA, 0x08, 0, b"\x01\x02\x01\0", 256).encode()


@dataclass
class Wire:
    """A connection whose exchanges are kept; the card's answers can be spoilt."""

    connection: CardConnection
    exchanges: list[Exchange] = field(default_factory=list)

    def transmit(self, command: bytes) -> bytes:
        response = self.connection.transmit(command)
        self.exchanges.append(Exchange(command, response, "slot"))
        return response


def recorded(level: int) -> list[Exchange]:
    """SELECT, a channel, GENERATE KEY PAIR, and a STORE DATA that is declined."""
    wire = Wire(ModelSlot("slot", memory_card(CHIP)).connect())
    PurseSession(wire)
    channel = SecureConnection.open(wire, lambda _: STATIC, level)
    for command in (GENERATE, STORE, GENERATE):
        channel.transmit(command)
    return wire.exchanges


def heard(exchanges: list[Exchange], keys: StaticKeys = STATIC) -> list[Opened | None]:
    listener = SecureListener(lambda _: keys)
    return [listener.hear(exchange) for exchange in exchanges]


def plain(opened: Opened | None) -> Exchange:
    """What was opened."""
    assert opened is not None
    assert opened.plain is not None
    return opened.plain


def flipped(raw: bytes, at: int) -> bytes:
    place = at % len(raw)
    return raw[:place] + bytes((raw[place] ^ 1,)) + raw[place + 1 :]


@levels
def test_commands_and_answers_are_read_in_clear(level: int) -> None:
    opened = heard(recorded(level))
    assert opened[:3] == [None, None, None]
    told = [each for each in opened[3:] if each is not None]
    assert [each.faults for each in told] == [()] * 3
    assert plain(told[0]).command[:4] == GENERATE[:4]
    assert ResponseApdu.decode(plain(told[0]).response or b"").data[:2] == b"\x7f\x49"
    assert CommandApdu.decode(plain(told[1]).command).data == CommandApdu.decode(STORE).data
    assert plain(told[1]).response == b"\x6a\x80"
    assert plain(told[2]).slot == "slot"


def test_wrong_keys_are_told_and_open_nothing() -> None:
    opened = heard(recorded(0x33), StaticKeys(*(bytes(16) for _ in range(3))))
    assert opened[1] is not None
    assert "cryptogram" in opened[1].faults[0]
    assert opened[2:] == [None] * 4


def test_keys_that_cannot_be_found_are_told() -> None:
    def none(_: InitializeUpdateAnswer) -> StaticKeys:
        raise InputError("no key of version 1")

    opened = SecureListener(none).hear(recorded(0x33)[1])
    assert opened is not None
    assert opened == Opened(None, ("no key of version 1",))


@pytest.mark.parametrize("level", [level for level in SECURITY_LEVELS if level & 0x10])
@pytest.mark.parametrize("at", [0, -3])
def test_an_answer_that_was_changed_is_told(level: int, at: int) -> None:
    exchanges = recorded(level)
    exchanges[3] = replace(exchanges[3], response=flipped(exchanges[3].response or b"", at))
    opened = heard(exchanges)[3]
    assert opened is not None
    assert "MAC" in opened.faults[0]
    assert opened.plain is None


@levels
def test_a_command_that_was_changed_and_was_taken_is_told(level: int) -> None:
    exchanges = recorded(level)
    exchanges[3] = replace(exchanges[3], command=flipped(exchanges[3].command, -2))
    opened = heard(exchanges)[3]
    assert opened is not None
    assert opened == Opened(None, ("the secured command is wrong, and the card takes it",))


@levels
def test_a_command_that_was_changed_and_is_refused_has_no_plain_text(level: int) -> None:
    exchanges = recorded(level)
    exchanges[3] = replace(exchanges[3], command=flipped(exchanges[3].command, -2), response=b"\x69\x88")
    assert heard(exchanges)[3] is None


def test_a_right_command_that_is_refused_is_told() -> None:
    exchanges = recorded(0x33)
    exchanges[3] = replace(exchanges[3], response=b"\x69\x88")
    opened = heard(exchanges)
    assert opened[3] is not None
    assert opened[3].faults == ("the secured command is right, and the card refuses it",)
    assert opened[4:] == [None, None]


@pytest.mark.parametrize("response", ["9000", "6982"])
def test_the_hosts_proof_and_the_cards_word_must_agree(response: str) -> None:
    exchanges = recorded(0x33)
    command = exchanges[2].command if response == "6982" else flipped(exchanges[2].command, 6)
    exchanges[2] = replace(exchanges[2], command=command, response=bytes.fromhex(response))
    opened = heard(exchanges)[2]
    assert opened is not None
    assert "the host's proof is" in opened.faults[0]


def test_a_proof_refused_with_reason_is_no_fault() -> None:
    wire = Wire(ModelSlot("slot", memory_card(CHIP)).connect())
    PurseSession(wire)
    other = StaticKeys(STATIC.enc, bytes(16), STATIC.dek)
    with pytest.raises((SecureChannelError, StatusError)):
        SecureConnection.open(wire, lambda _: other, 0x33)
    assert heard(wire.exchanges) == [None] * len(wire.exchanges)


@levels
def test_behind_a_blanked_command_everything_is_still_read_and_no_mac_is_judged(level: int) -> None:
    exchanges = recorded(level)
    size = len(exchanges[3].command)
    blanked = replace(
        exchanges[3], command=exchanges[3].command[:5] + bytes(size - 5), redacted=(("command", 5, size),)
    )
    opened = heard([*exchanges[:3], blanked, *exchanges[4:]])
    assert opened[3] is None
    told = [each for each in opened[4:] if each is not None]
    assert [each.faults for each in told] == [()] * 2
    assert CommandApdu.decode(plain(told[0]).command).data == CommandApdu.decode(STORE).data
    assert ResponseApdu.decode(plain(told[1]).response or b"").data[:2] == b"\x7f\x49"


def test_what_is_declined_before_its_mac_is_looked_at_leaves_the_channel_as_it_was() -> None:
    exchanges = recorded(0x33)
    chained = replace(exchanges[3], command=b"\x94" + exchanges[3].command[1:], response=b"\x68\x84")
    odd_level = replace(exchanges[2], command=exchanges[2].command[:2] + b"\x02" + exchanges[2].command[3:])
    refused = replace(odd_level, response=b"\x6a\x86")
    opened = heard([*exchanges[:2], refused, exchanges[2], chained, *exchanges[3:]])
    assert opened[:5] == [None] * 5
    assert [each.faults for each in opened[5:] if each] == [()] * 3


@pytest.mark.parametrize("end", ["reset", "select"])
def test_a_channel_ends_with_reset_and_selection(end: str) -> None:
    listener, exchanges = SecureListener(lambda _: STATIC), recorded(0x33)
    for exchange in exchanges[:3]:
        listener.hear(exchange)
    if end == "reset":
        listener.reset("slot")
    else:
        listener.hear(exchanges[0])
    assert listener.hear(exchanges[3]) is None


INITIALIZE = CommandApdu(0x80, Ins.INITIALIZE_UPDATE, 0, 0, bytes(range(8)), 256)
OTHER_VERSION = CommandApdu(0x80, Ins.INITIALIZE_UPDATE, 0x7F, 0, bytes(8), 256)
SELECT = CommandApdu(0x00, Ins.SELECT, 4, 0, AID, 256)


@levels
@pytest.mark.parametrize("between", [OTHER_VERSION, INITIALIZE, SELECT], ids=["declined", "begun anew", "ended"])
def test_a_channel_begins_and_ends_while_one_is_open(level: int, between: CommandApdu) -> None:
    """SELECT under its MAC; INITIALIZE UPDATE, which has no such class, in the clear."""
    wire = Wire(ModelSlot("slot", memory_card(CHIP)).connect())
    PurseSession(wire)
    channel = SecureConnection.open(wire, lambda _: STATIC, level)
    (channel if between is SELECT else wire).transmit(between.encode())
    if between is OTHER_VERSION:
        channel.transmit(GENERATE)
    again = SecureConnection.open(wire, lambda _: STATIC, level)
    again.transmit(GENERATE)
    opened = heard(wire.exchanges)
    assert [each.faults for each in opened if each is not None] == [()] * sum(each is not None for each in opened)
    assert between is not SELECT or plain(opened[3]).command[1] == Ins.SELECT
    assert plain(opened[-1]).command[:4] == GENERATE[:4]


def test_slots_are_kept_apart_and_their_number_is_bounded() -> None:
    listener, exchanges = SecureListener(lambda _: STATIC), recorded(0x33)
    for number in range(MOST_SLOTS + 1):
        listener.hear(replace(exchanges[1], slot=str(number)))
    assert listener.hear(replace(exchanges[2], slot="0", response=b"\x69\x82")) is None
    assert listener.hear(replace(exchanges[2], slot="1", response=b"\x69\x82")) is not None


def test_no_key_is_in_what_can_be_printed() -> None:
    listener = SecureListener(lambda _: STATIC)
    listener.hear(recorded(0x33)[1])
    (channel,) = listener._channels.values()
    assert "keys" not in repr(channel)
    assert channel.keys.enc.hex() not in repr(channel.keys)


@given(st.data())
def test_any_bytes_are_heard_without_an_error(data: st.DataObject) -> None:
    listener, exchanges = SecureListener(lambda _: STATIC), recorded(0x33)
    for exchange in exchanges:
        command, response = exchange.command, exchange.response or b""
        if data.draw(st.booleans()):
            command = data.draw(st.sampled_from([flipped(command, 5), command[:-1], command[:7], b"", command * 2]))
            response = data.draw(st.sampled_from([response, response[:-3], response[2:], b"", response * 2]))
        listener.hear(replace(exchange, command=command, response=response))
