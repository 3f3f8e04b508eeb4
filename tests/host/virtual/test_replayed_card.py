"""A recorded card behind a real pcscd: programs that we did not write talk to it, as they did to the card."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep

import pytest

from apdu.errors import CardRemovedError, InputError, NoCardError, OutcomeUnknownError
from apdu.identity import AID
from apdu.trace.model import Exchange, Item, Reset
from host.connection import CardConnection
from host.model import ModelSlot
from host.pcsc import PcscSlot, list_readers
from host.recording import RecordingSlot, TellsAtr, TraceFile
from host.session import PurseSession
from host.virtual.cards import CARD_PROGRAM, CardProcess, absolute
from host.virtual.reader import VirtualReader
from tests.issuer import NOW, PIN, Issuer

pytestmark = pytest.mark.pcsc

ISSUER = Issuer()
SELECT = f"00A40400{len(AID):02X}{AID.hex().upper()}00"
ATR = bytes.fromhex("3B85017361696675EC")
"""Of no card of ours, so that it can only come out of the trace."""


def trace(path: Path, *items: Item) -> Path:
    with TraceFile(path, "test") as file:
        for item in items:
            file.write(item)
    return path


@contextmanager
def inserted(reader: VirtualReader, *sources: object) -> Iterator[list[PcscSlot]]:
    """Recorded cards in the slots; the reader's slots are given."""
    cards = [
        CardProcess(absolute(Path(f"replay:{source}")), port, CARD_PROGRAM)
        for source, port in zip(sources, reader.pcscd.ports, strict=False)
    ]
    slots = [PcscSlot(name) for name in reader.pcscd.readers[: len(cards)]]
    try:
        for card, slot in zip(cards, slots, strict=True):
            card.wait_until_inserted()
            assert slot.wait_for_card(seconds=10)
        yield slots
    finally:
        for number, (card, slot) in enumerate(zip(cards, slots, strict=True), 1):
            slot.close()
            card.take_out()
            reader.pcscd.wait_until_empty(number)


def put_in_again(slot: PcscSlot, tries: int = 50) -> CardConnection:
    """Connect to a card that was out for a moment: pcscd may look in that moment, and looks again after 0.4 s."""
    for _ in range(tries):
        with suppress(NoCardError, CardRemovedError):
            return slot.connect()
        sleep(0.2)
    return slot.connect()


def opensc_tool(*commands: str) -> list[bytes]:
    """The answers that opensc-tool shows, without their status words."""
    sent = [part for command in commands for part in ("-s", ":".join(re.findall("..", command)))]
    line = ["opensc-tool", "--reader", "0", "--card-driver", "default", *sent]
    said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    answers = re.split(r"^Received \(SW1=0x9000?.*$|^Received.*$", said, flags=re.MULTILINE)[1:]
    return [bytes.fromhex("".join(re.findall(r"^((?:[0-9A-F]{2} )+)", each, re.MULTILINE))) for each in answers]


def test_opensc_tool_gets_the_recorded_answers_each_time(reader: VirtualReader, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with TraceFile(path, "test") as file:
        connection = RecordingSlot(ISSUER.purse(1), file).connect()
        answers = [connection.transmit(bytes.fromhex(command)) for command in (SELECT, "00CA010000")]
    with inserted(reader, path):
        for _ in range(2):
            assert opensc_tool(SELECT, "00CA010000") == [answer[:-2] for answer in answers]


def test_pyscard_gets_the_recorded_answer_to_reset_and_6f00_for_what_was_not_recorded(
    reader: VirtualReader, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recorded, other = bytes.fromhex("00B0000004"), bytes.fromhex("00B0000104")
    path = trace(tmp_path / "t", Reset(ATR), Exchange(recorded, b"card\x90\x00"), Exchange(other, None), Reset(ATR))
    with inserted(reader, path) as (slot,):
        assert list_readers()[0].atr == ATR
        connection = slot.connect()
        assert isinstance(connection, TellsAtr)
        assert connection.atr == ATR
        assert connection.transmit(other) == b"\x6f\x00"
        assert connection.transmit(recorded) == b"card\x90\x00"
        with pytest.raises(OutcomeUnknownError):
            connection.transmit(other)
        assert put_in_again(slot).transmit(recorded) == b"card\x90\x00"
    told = capfd.readouterr().err
    came = "READ BINARY (00B0000004) was recorded here, and READ BINARY (00B0000104) came"
    where = "this command is item 3 of the trace, and a replay keeps the order"
    assert f"saifu: replay:{path}, item 2: {came}; {where}; answered with 6F00" in told
    assert f"saifu: replay:{path}, item 3: no answer was recorded" in told


def test_a_payment_goes_through_two_recorded_cards(reader: VirtualReader, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with TraceFile(path, "test") as file:
        slots: list[ModelSlot] = [ISSUER.purse(1, initial=10_000), ISSUER.purse(2)]
        done = pay(*[PurseSession(RecordingSlot(slot, file).connect()) for slot in slots])
    with inserted(reader, f"{path}#card 1", f"{path}#card 2") as played:
        assert pay(*[PurseSession(slot.connect()) for slot in played]) == done


def pay(payer: PurseSession, payee: PurseSession) -> object:
    payer.verify(PIN)
    answer = payee.receive(payer.pay(payee.request(500, payer.card, NOW), NOW), NOW)
    payer.settle(answer)
    return answer


def test_what_is_no_trace_is_told(reader: VirtualReader, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Dear Anna")
    with pytest.raises(InputError, match="letter: this is no trace"), inserted(reader, tmp_path / "letter"):
        pass
    path = trace(tmp_path / "empty", Reset(ATR))
    with pytest.raises(InputError, match="empty: no command was recorded"), inserted(reader, path):
        pass


def test_an_odd_answer_to_reset_does_no_harm(reader: VirtualReader, tmp_path: Path) -> None:
    path = trace(tmp_path / "t", Reset(bytes(70_000)), Exchange(b"\x00\xb0\x00\x00\x04", b"\x90\x00"))
    with inserted(reader, path) as (slot,):
        assert list_readers()[0].atr == bytes.fromhex("3B800181")
        assert slot.connect().transmit(b"\x00\xb0\x00\x00\x04") == b"\x90\x00"
