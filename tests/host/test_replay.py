"""A recorded card plays again: payments and any session on the model, strictly, without PINs, in a slot or a reader."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apdu.command import CommandApdu
from apdu.commands import DATA_OBJECTS, Ins
from apdu.errors import FormatError, InputError, MisbehaviourError, OutcomeUnknownError, ReaderError
from apdu.identity import AID
from apdu.trace.model import Exchange, Item, Remark, Reset
from applet_model.card import answer_to_reset
from applet_model.memory import Cut
from host.connection import CardConnection, CardSlot, Ejection
from host.console import open_slot
from host.model import CardFile, ModelSlot, Protocol, create_card, memory_card
from host.recording import RecordingSlot, TellsAtr, TraceFile
from host.replay import Recording, ReplayConnection, ReplaySlot, load, sessions
from host.session import PurseSession, pin_block
from host.terminal.transfer import resume, transfer
from tests.issuer import CHIP, NOW, PIN, Issuer

VECTORS = Path(__file__).parents[1] / "vectors" / "traces"
ISSUER = Issuer()
OTHER_PIN = pin_block("9999")
ONE = Exchange(b"\x00\xca\x01\x01\x00", b"\x01\x90\x00")
OTHER = Exchange(b"\x00\xca\x01\x02\x00", b"\x6a\x88")
VERIFY = CommandApdu(0x00, Ins.VERIFY, 0, 0x81, PIN).encode()
BLANKED = Exchange(VERIFY[:5] + bytes(8), b"\x90\x00", redacted=(("command", 5, 13),))


def recording(*items: Item) -> Recording:
    """A trace of one slot."""
    return Recording("t", tuple(sessions(enumerate(items, 1))))


def connected(*items: Item) -> ReplayConnection:
    return ReplaySlot(recording(*items)).connect()


def pay(payer: CardConnection, payee: CardConnection, pin: bytes) -> object:
    """A payment above the amount that wants a PIN."""
    return transfer(PurseSession(payer), PurseSession(payee), 6000, NOW, lambda _: pin)


def recorded_payment(path: Path) -> object:
    """A payment between "card 1" and "card 2", recorded in ``path``."""
    giver, payer, payee = ISSUER.purse(3, initial=50_000), ISSUER.purse(1), ISSUER.purse(2)
    transfer(PurseSession(giver), PurseSession(payer), 9000, NOW, lambda _: PIN)
    with TraceFile(path, "test") as trace:
        return pay(RecordingSlot(payer, trace).connect(), RecordingSlot(payee, trace).connect(), PIN)


# --- a card for the host --------------------------------------------------------------------------------------


def test_a_recorded_payment_replays_to_the_same_result_with_any_pin(tmp_path: Path) -> None:
    done = recorded_payment(tmp_path / "t")
    slots = [open_slot(f"replay:{tmp_path / 't'}#card {number}") for number in (1, 2)]
    payer, payee = (slot.connect() for slot in slots)
    assert pay(payer, payee, OTHER_PIN) == done
    for played in (payer, payee):
        assert isinstance(played, ReplayConnection)
        assert played.finished
        assert played.atr == answer_to_reset(Protocol.T1)
    assert [slot.name for slot in slots] == [f"replay:{tmp_path / 't'}#card {number}" for number in (1, 2)]


def test_a_torn_payment_is_torn_again_and_resumed_as_it_was(tmp_path: Path) -> None:
    def business(payer: CardSlot, payee: CardSlot, tear: Callable[[], None]) -> object:
        first, second = PurseSession(payer.connect()), PurseSession(payee.connect())
        paid = first.pay(second.request(500, first.card, NOW), NOW)
        tear()
        with pytest.raises(OutcomeUnknownError):
            second.receive(paid, NOW)
        return resume(PurseSession(payer.connect()), PurseSession(payee.connect()), NOW)

    card = memory_card(CHIP)
    ISSUER.personalize(card, ISSUER.parameters(2))
    with TraceFile(tmp_path / "t", "test") as trace:
        slots = [RecordingSlot(slot, trace) for slot in (ISSUER.purse(1, initial=9_000), ModelSlot("card 2", card))]
        ended = business(slots[0], slots[1], lambda: card.tear(1, Cut.HALF))
    again = [ReplaySlot(load(str(tmp_path / "t"), f"card {number}")) for number in (1, 2)]
    assert business(again[0], again[1], lambda: None) == ended
    with pytest.raises(MisbehaviourError, match="the trace has 2 resets, and this is one more"):
        again[0].connect()


def test_each_connect_goes_to_the_next_reset_whatever_is_left_before_it() -> None:
    slot = ReplaySlot(recording(ONE, Reset(b"\x3b\x01"), OTHER, ONE, Reset(), Remark("said"), Reset(b"\x3b\x02"), ONE))
    first, second, third, fourth = (slot.connect() for _ in range(4))
    assert [each.atr for each in (first, second, third, fourth)] == [b"", b"\x3b\x01", b"", b"\x3b\x02"]
    assert second.transmit(OTHER.command) == OTHER.response
    end = r"replay:t: no command was recorded before the next reset, and GET DATA 0101 \(00CA010100\) came"
    with pytest.raises(MisbehaviourError, match=end):
        third.transmit(ONE.command)
    assert [each.transmit(ONE.command) for each in (first, fourth)] == [ONE.response] * 2
    with pytest.raises(MisbehaviourError, match="replay:t: the trace has 4 resets"):
        slot.connect()


def test_it_is_a_slot() -> None:
    slot = ReplaySlot(recording(ONE))
    assert slot.connect().transmit(ONE.command) == ONE.response
    assert slot.eject() is Ejection.EJECTED
    slot.close()


@pytest.mark.parametrize(
    ("commands", "told"),
    [
        (
            [OTHER.command],
            "replay:t, item 2: GET DATA 0101 (00CA010100) was recorded here, and GET DATA 0102 (00CA010200) came; "
            "this command is item 4 of the trace, and a replay keeps the order",
        ),
        (
            [ONE.command, ONE.command],
            "replay:t, item 4: GET DATA 0102 (00CA010200) was recorded here, and GET DATA 0101 (00CA010100) came; "
            "this command is item 2 of the trace, and a replay keeps the order",
        ),
        ([ONE.command[:-1]], "and GET DATA 0101 (00CA0101) came; this command is missing in the trace"),
        ([ONE.command + b"\0"], "and GET DATA 0101 (00CA01010000) came; this command is missing in the trace"),
        ([b""], "replay:t, item 2: GET DATA 0101 (00CA010100) was recorded here, and no command () came"),
        (
            [ONE.command, OTHER.command, bytes.fromhex("00B2010C00")],
            "replay:t: after item 4 no command was recorded before the next reset, "
            "and READ RECORD (00B2010C00) came; this command is missing in the trace",
        ),
    ],
)
def test_another_command_than_the_recorded_one_is_told_with_its_place(commands: list[bytes], told: str) -> None:
    replay = connected(Reset(), ONE, Remark("said"), OTHER)
    for command in commands[:-1]:
        replay.transmit(command)
    with pytest.raises(MisbehaviourError, match=re.escape(told)):
        replay.transmit(commands[-1])


def test_a_command_that_comes_too_early_is_found_later_in_the_trace() -> None:
    first, second = connected(ONE, OTHER, ONE), connected(ONE, Reset(), OTHER)
    first.transmit(ONE.command)
    for replay, command, place in ((first, ONE.command, 3), (second, OTHER.command, 3)):
        with pytest.raises(MisbehaviourError, match=f"this command is item {place} of the trace"):
            replay.transmit(command)


def test_of_a_long_command_its_beginning_is_told_and_where_it_is_otherwise() -> None:
    pay = CommandApdu(0x80, Ins.PAY, 0, 0, bytes(150), 256).encode()
    late, early = bytes([*pay[:100], 1, *pay[101:]]), bytes([*pay[:9], 1, *pay[10:]])
    begin = f"PAY ({pay[:16].hex().upper()}…, {len(pay)} bytes) was recorded here, and PAY "
    for came, told in (
        (late, f"{begin}({late[:16].hex().upper()}…, {len(pay)} bytes) came, other from byte 100 on; "),
        (early, f"{begin}({early[:16].hex().upper()}…, {len(pay)} bytes) came; "),
        (pay + b"\0", f"{begin}({pay[:16].hex().upper()}…, {len(pay) + 1} bytes) came; "),
    ):
        with pytest.raises(MisbehaviourError, match=re.escape(told)) as error:
            connected(Exchange(pay, None)).transmit(came)
        assert len(str(error.value)) < 300


def test_after_a_wrong_command_the_right_one_still_goes() -> None:
    replay = connected(ONE, OTHER)
    with pytest.raises(MisbehaviourError):
        replay.transmit(OTHER.command)
    assert not replay.begun
    assert [replay.transmit(ONE.command), replay.transmit(OTHER.command)] == [ONE.response, OTHER.response]
    assert replay.finished


def test_an_answer_that_was_lost_is_lost_again() -> None:
    replay = connected(Exchange(ONE.command, None), OTHER)
    with pytest.raises(OutcomeUnknownError, match="item 1: no answer was recorded; put the card in again"):
        replay.transmit(ONE.command)
    assert replay.transmit(OTHER.command) == OTHER.response


def test_only_what_was_blanked_may_be_otherwise() -> None:
    assert connected(BLANKED).transmit(VERIFY) == BLANKED.response
    for other in (VERIFY[:4], VERIFY + b"\0", VERIFY[:-1], b"\x00\x20\x00\x82" + VERIFY[4:]):
        with pytest.raises(MisbehaviourError):
            connected(BLANKED).transmit(other)
    kept = Exchange(VERIFY, b"\x90\x00")
    with pytest.raises(MisbehaviourError):
        connected(kept).transmit(VERIFY[:5] + OTHER_PIN)


def test_errors_tell_no_pin() -> None:
    kept = Exchange(VERIFY, b"\x90\x00")
    for items, command in (([], VERIFY), ([ONE], VERIFY), ([kept], ONE.command), ([kept], VERIFY[:5] + OTHER_PIN)):
        with pytest.raises(MisbehaviourError) as told:
            connected(Reset(), *items).transmit(command)
        assert not any(pin.hex() in str(told.value).lower() for pin in (PIN, OTHER_PIN))


def test_errors_tell_no_key_that_goes_on_in_a_second_command() -> None:
    key = bytes(range(0xA0, 0xA8))
    first, second = (CommandApdu(cla, 0xDB, 0x3F, 0xFF, data).encode() for cla, data in ((0x10, b"\x4d"), (0, key)))
    replay = connected(Exchange(first, b"\x90\x00"), ONE)
    replay.transmit(first)
    with pytest.raises(MisbehaviourError, match=r"and PUT DATA 3FFF \(00DB3FFF080{16}\) came"):
        replay.transmit(second)


def test_a_trace_of_another_program_plays_to_any_pin_too() -> None:
    """pcscd's own trace has the PIN still."""
    file = str(VECTORS / "pcscd.txt")
    said = [each.exchange for session in load(file).sessions for each in session.exchanges]
    (verify,) = [each for each in said if each.command[1] == Ins.VERIFY]
    assert (verify.command, verify.redacted) == (BLANKED.command, BLANKED.redacted)
    replay = ReplaySlot(load(file)).connect()
    for exchange in said:
        pin = exchange is verify
        assert replay.transmit(exchange.command[:5] + OTHER_PIN if pin else exchange.command) == exchange.response


def test_a_key_is_blanked_in_each_command_of_its_chain(tmp_path: Path) -> None:
    parts = [CommandApdu(cla, 0xDB, 0x3F, 0xFF, data).encode() for cla, data in ((0x10, b"\x4d"), (0, bytes([7] * 8)))]
    with TraceFile(tmp_path / "t", "test") as trace:
        for part in parts:
            trace.write(Exchange(part, b"\x90\x00"))
    (session,) = load(str(tmp_path / "t")).sessions
    assert [each.exchange.command for each in session.exchanges] == [each[:5] + bytes(each[4]) for each in parts]


def test_the_plain_text_that_a_card_deciphered_is_played(tmp_path: Path) -> None:
    decipher = Exchange(CommandApdu(0, 0x2A, 0x80, 0x86, b"cryptogram", 256).encode(), b"plain\x90\x00")
    with TraceFile(tmp_path / "t", "test") as trace:
        trace.write(decipher)
    assert ReplaySlot(load(str(tmp_path / "t"))).connect().transmit(decipher.command) == decipher.response


def test_a_command_may_come_as_t0_carries_it() -> None:
    with_le, alone = bytes.fromhex("00A4040002F00000"), bytes.fromhex("80300000")
    for recorded, came in ((with_le, with_le[:-1]), (alone, alone + b"\0")):
        assert connected(Exchange(recorded, b"\x90\x00")).transmit(came) == b"\x90\x00"


# --- which trace, which slot ----------------------------------------------------------------------------------


def test_a_slot_is_chosen_by_its_name_or_a_part_of_it(tmp_path: Path) -> None:
    recorded_payment(tmp_path / "t")
    trace = str(tmp_path / "t")
    assert load(f"{trace}#CARD 1").sessions == load(f"{trace}#1").sessions == load(trace, "card 1").sessions
    assert load(f"{trace}#1").sessions != load(f"{trace}#2").sessions
    several = "several slots in this trace: choose one of 'card 1', 'card 2' with "
    with pytest.raises(InputError, match=f"{several}replay:FILE#SLOT$"):
        open_slot(f"replay:{trace}")
    with pytest.raises(InputError, match=f"{several}--slot NAME$"):
        load(trace, choosing="--slot NAME")
    for wanted in ("card", "3", ""):
        with pytest.raises(InputError, match=f"'{wanted}' does not name one slot"):
            load(f"{trace}#{wanted}")


def test_a_file_may_have_the_mark_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "t#1"
    recorded_payment(path)
    assert load(f"{path}#2").sessions == load(str(path), "2").sessions
    (tmp_path / "t").write_text("Dear Anna")
    with pytest.raises(InputError, match="t#1: there are several slots"):
        load(str(path))


def test_a_slot_may_have_the_mark_in_its_name(tmp_path: Path) -> None:
    with TraceFile(tmp_path / "t", "test") as trace:
        for name in ("model:a#1", "model:b#1"):
            trace.write(Exchange(ONE.command, ONE.response, name))
    found = load(f"{tmp_path / 't'}#b#1")
    assert [each.exchange.slot for each in found.sessions[0].exchanges] == ["model:b#1"]


def test_what_is_no_trace_is_told(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Dear Anna")
    (tmp_path / "empty").write_text('{"format": "saifu trace 1", "program": "x"}\n{"remark": "nothing"}\n')
    for name, error, text in (
        ("letter", FormatError, "this is no trace"),
        ("missing", InputError, "cannot be read"),
        ("missing#1", InputError, "cannot be read"),
        ("empty", InputError, "nothing was said to a card"),
    ):
        with pytest.raises(error, match=text):
            open_slot(f"replay:{tmp_path / name}")


@pytest.mark.parametrize("file", ["pcsc-spy.txt#00 00", "cardpeek.txt", "gp.txt"])
def test_a_trace_of_another_program_is_played(file: str) -> None:
    found = load(str(VECTORS / file))
    slot = ReplaySlot(found)
    for session in found.sessions:
        connection = slot.connect()
        assert [connection.transmit(said.command) for _, said in session.exchanges] == [
            said.response for _, said in session.exchanges
        ]
    assert sum(len(session.exchanges) for session in found.sessions) > 3


# --- any session ----------------------------------------------------------------------------------------------


class Made(NamedTuple):
    """A purse that every example begins with."""

    image: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    image = tmp_path_factory.mktemp("made") / "card"
    create_card(image, CHIP, 64, 4)
    card = CardFile(image)
    ISSUER.personalize(card, ISSUER.parameters(1))
    card.close()
    return Made(image)


SELECT = CommandApdu(0, Ins.SELECT, 4, 0, AID, 256).encode()
KNOWN = [SELECT, VERIFY, VERIFY[:5] + OTHER_PIN, VERIFY[:4]]
KNOWN += [CommandApdu(0, Ins.GET_DATA, row.number >> 8, row.number & 0xFF, ne=256).encode() for row in DATA_OBJECTS]
KNOWN += [CommandApdu(0x80, Ins.ATTEST, 0, 0, b"\xcf\x10" + bytes(16), 256).encode()]
COMMANDS = st.one_of(
    st.sampled_from(KNOWN),
    st.builds(
        lambda cla, ins, p1, p2, data, ne: CommandApdu(cla, int(ins), p1, p2, data, ne).encode(),
        st.sampled_from([0x00, 0x80, 0x10, 0x84]), st.sampled_from(Ins), st.integers(0, 255), st.integers(0, 255),
        st.binary(max_size=300), st.sampled_from([None, 1, 256]),
    ),
    st.binary(max_size=20),
)  # fmt: skip


def dialogue(slot: CardSlot, commands: list[bytes | None]) -> list[bytes | None]:
    """Answers to commands, None where none came, and to resets, for which None stands in ``commands``."""
    said: list[bytes | None] = []
    connection = slot.connect()
    for command in [SELECT, *commands]:
        try:
            if command is None:
                connection = slot.connect()
                said.append(connection.atr if isinstance(connection, TellsAtr) else b"")
            else:
                said.append(connection.transmit(command))
        except ReaderError:
            said.append(None)
    return said


@settings(max_examples=80)
@given(commands=st.lists(st.none() | COMMANDS, max_size=25), writes=st.none() | st.integers(0, 3))
def test_whatever_is_said_to_a_card_its_recording_says_again(
    made: Made, commands: list[bytes | None], writes: int | None
) -> None:
    with TemporaryDirectory() as folder:
        image, path = Path(folder) / "card", Path(folder) / "trace"
        shutil.copy(made.image, image)
        with TraceFile(path, "test") as trace:
            card = CardFile(image)
            if writes is not None:
                card.tear(writes, Cut.HALF)
            slot = RecordingSlot(ModelSlot("slot", card), trace)
            said = dialogue(slot, commands)
            slot.close()
        again = dialogue(ReplaySlot(load(str(path))), commands)
    assert again == said
