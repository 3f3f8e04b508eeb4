"""Recorded connections: a whole payment is recorded from real cards and replayed; strict, and without PINs."""

import pytest

from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.errors import MisbehaviourError, OutcomeUnknownError
from applet_model.memory import Cut
from host.connection import CardConnection
from host.model import ModelSlot, memory_card
from host.replay import Exchange, RecordingConnection, ReplayConnection, redact
from host.session import PurseSession, pin_block
from host.terminal.transfer import Transfer, transfer
from tests.issuer import CHIP, NOW, PIN, PUK, Issuer

ISSUER = Issuer()
NEW_PIN = pin_block("778899")
ONE, OTHER = Exchange(b"\x00\xca\x01\x01\x00", b"\x01\x90\x00"), Exchange(b"\x00\xca\x01\x02\x00", b"\x6a\x88")


def pay(payer: CardConnection, payee: CardConnection) -> Transfer:
    """A payment above the amount that wants a PIN."""
    return transfer(PurseSession(payer), PurseSession(payee), 6000, NOW, lambda _: PIN)


def recorded() -> tuple[RecordingConnection, RecordingConnection]:
    giver, payer, payee = ISSUER.purse(3, initial=50_000), ISSUER.purse(1), ISSUER.purse(2)
    transfer(PurseSession(giver), PurseSession(payer), 9000, NOW, lambda _: PIN)
    return RecordingConnection(payer.connect()), RecordingConnection(payee.connect())


def test_a_recorded_payment_replays_to_the_same_result() -> None:
    payer, payee = recorded()
    done = pay(payer, payee)
    again, other = ReplayConnection(payer.exchanges), ReplayConnection(payee.exchanges)
    assert pay(again, other) == done
    assert done.settled
    assert again.finished
    assert other.finished


def test_the_recording_is_the_dialogue() -> None:
    payer, payee = recorded()
    pay(payer, payee)
    assert [said.command[1] for said in payer.exchanges] == [Ins.SELECT, Ins.PAY, Ins.VERIFY, Ins.PAY, Ins.SETTLE]
    assert [said.command[1] for said in payee.exchanges] == [Ins.SELECT, Ins.REQUEST, Ins.RECEIVE]
    assert [said.response[-2:].hex() for said in payer.exchanges] == ["9000", "6982", "9000", "9000", "9000"]


def test_no_pin_is_recorded() -> None:
    connection = RecordingConnection(ISSUER.purse(1))
    session = PurseSession(connection)
    session.verify(PIN)
    session.change_reference_data(PIN, NEW_PIN)
    session.reset_retry_counter(PUK, PIN)
    for said in connection.exchanges:
        assert not any(secret in said.command for secret in (PIN, NEW_PIN, PUK))
    assert [len(said.command) for said in connection.exchanges[1:]] == [5 + 8, 5 + 16, 5 + 16]


def test_pins_are_recorded_only_on_demand() -> None:
    connection = RecordingConnection(ISSUER.purse(1), secrets=True)
    PurseSession(connection).verify(PIN)
    assert connection.exchanges[1].command.endswith(PIN)
    PurseSession(ReplayConnection(connection.exchanges)).verify(PIN)


def test_nothing_but_pins_is_redacted() -> None:
    payment = CommandApdu(0x80, Ins.PAY, 0, 0, bytes(range(200)), 256).encode()
    assert redact(payment) == payment
    assert redact(b"\x00") == b"\x00"
    asked = CommandApdu(0x00, Ins.VERIFY, 0, 0x81).encode()
    assert redact(asked) == asked


def test_a_pin_command_that_does_not_parse_keeps_its_header_alone() -> None:
    assert redact(b"\x00\x20\x00\x81\x10" + PIN) == b"\x00\x20\x00\x81"


def test_an_answer_that_was_lost_is_not_recorded() -> None:
    card = memory_card(CHIP)
    ISSUER.personalize(card, ISSUER.parameters(1))
    connection = RecordingConnection(ModelSlot("slot", card).connect())
    session = PurseSession(connection)
    card.tear(0, Cut.HALF)
    with pytest.raises(OutcomeUnknownError):
        session.request(100, ISSUER.id(2), NOW)
    assert len(connection.exchanges) == 1


@pytest.mark.parametrize(
    ("commands", "place"),
    [
        ([OTHER.command], "exchange 1 of 2"),
        ([ONE.command, ONE.command], "exchange 2 of 2"),
        ([ONE.command[:-1]], "exchange 1 of 2"),
        ([ONE.command, OTHER.command, ONE.command], "exchange 3 of 2: the recording ends"),
    ],
)
def test_another_command_than_the_recorded_one_is_told_with_its_place(commands: list[bytes], place: str) -> None:
    replay = ReplayConnection([ONE, OTHER])
    for command in commands[:-1]:
        replay.transmit(command)
    with pytest.raises(MisbehaviourError, match=place):
        replay.transmit(commands[-1])


def test_after_a_wrong_command_the_right_one_still_goes() -> None:
    replay = ReplayConnection([ONE, OTHER])
    with pytest.raises(MisbehaviourError):
        replay.transmit(OTHER.command)
    assert [replay.transmit(ONE.command), replay.transmit(OTHER.command)] == [ONE.response, OTHER.response]
    assert replay.finished


def test_errors_tell_no_pin() -> None:
    secret = CommandApdu(0x00, Ins.VERIFY, 0, 0x81, PIN).encode()
    kept = Exchange(secret, b"\x90\x00")
    for recording, command in (([], secret), ([ONE], secret), ([kept], ONE.command)):
        with pytest.raises(MisbehaviourError) as told:
            ReplayConnection(recording).transmit(command)
        assert PIN.hex() not in str(told.value)
