"""PcscSlot against a real pcscd and driver, with a card that says back what it hears."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from apdu.errors import (
    CardRemovedError,
    NoCardError,
    NoReaderError,
    OutcomeUnknownError,
    PcscUnavailableError,
    ReaderBusyError,
)
from host.connection import Ejection
from host.pcsc import PcscSlot, find_reader, list_readers
from host.virtual.reader import VirtualReader
from tests.host.virtual.echo_card import ATR_T1, COUNT, DIE

pytestmark = pytest.mark.pcsc

HELLO = bytes.fromhex("80E0000003010203")
SECONDS = 10
ROOT = Path(__file__).parents[3]
OK = b"\x90\x00"


@pytest.fixture
def slot(reader: VirtualReader, images: list[Path]) -> Iterator[PcscSlot]:
    """Slot 1 with an echo card in it."""
    reader.insert(1, images[0])
    slot = PcscSlot(reader.pcscd.readers[0])
    assert slot.wait_for_card(seconds=SECONDS)
    yield slot
    slot.close()


@pytest.mark.usefixtures("slot")
def test_lists_both_slots_and_the_card(reader: VirtualReader) -> None:
    first, second = list_readers()
    assert (first.name, second.name) == reader.pcscd.readers
    assert (first.number, first.atr, first.card_present) == (0, ATR_T1, True)
    assert (second.number, second.atr, second.card_present) == (1, None, False)


def test_finds_a_reader_by_number_name_and_part(reader: VirtualReader) -> None:
    second = reader.pcscd.readers[1]
    assert [find_reader(text).name for text in ("1", second, "READER 00 01")] == [second] * 3


@pytest.mark.usefixtures("reader")
def test_names_the_readers_when_the_wanted_one_is_not_there_or_not_clear() -> None:
    for text in ("7", "omnikey", "virtual"):
        with pytest.raises(NoReaderError, match="0 saifu virtual reader 00 00; 1 saifu virtual reader 00 01"):
            find_reader(text)


def test_sends_and_receives(slot: PcscSlot) -> None:
    assert slot.connect().transmit(HELLO) == HELLO + OK


@pytest.mark.parametrize("size", [4, 261, 262, 4000, 65530])
def test_carries_commands_of_every_length(slot: PcscSlot, size: int) -> None:
    command = (b"\x80\xe0\0\0\0" + bytes(range(256)) * 256)[:size]
    assert slot.connect().transmit(command) == command + OK


def test_connecting_resets_the_card(slot: PcscSlot) -> None:
    for _ in range(2):
        connection = slot.connect()
        assert connection.transmit(COUNT) == b"\x01" + OK


def test_closing_leaves_nothing_selected_for_the_next_program(slot: PcscSlot) -> None:
    slot.connect().transmit(HELLO)
    slot.close()
    assert opensc_sends(COUNT, 0).startswith("01")


def opensc_sends(command: bytes, reader: int) -> str:
    """The data of the answer, in hex, as a program shows it that does not reset."""
    line = ["opensc-tool", "--reader", str(reader), "--card-driver", "default", "--send-apdu", command.hex()]
    said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert "SW1=0x90, SW2=0x00" in said
    return said.split(":", 2)[2].strip()


def test_at_t0_the_le_of_a_command_with_data_stays_at_home(reader: VirtualReader, t0_image: Path) -> None:
    reader.insert(2, t0_image)
    slot = PcscSlot(reader.pcscd.readers[1])
    assert slot.wait_for_card(seconds=SECONDS)
    connection = slot.connect()
    assert connection.transmit(HELLO + b"\0") == HELLO + OK
    assert connection.transmit(COUNT) == b"\x02" + OK
    slot.close()


def test_an_empty_reader_is_said_to_be_empty(reader: VirtualReader) -> None:
    with pytest.raises(NoCardError, match="no card in saifu virtual reader 00 01: put one in"):
        PcscSlot(reader.pcscd.readers[1]).connect()


@pytest.mark.usefixtures("reader")
def test_a_reader_that_is_gone_is_named() -> None:
    with pytest.raises(NoReaderError, match="ACME 3000 is not there"):
        PcscSlot("ACME 3000").connect()


def test_another_program_that_has_the_reader_for_itself_is_told(slot: PcscSlot) -> None:
    with exclusive(slot.name), pytest.raises(ReaderBusyError, match=r"saifu virtual reader 00 00.*end it"):
        slot.connect()
    assert slot.connect().transmit(HELLO) == HELLO + OK


class exclusive:  # noqa: N801  (reads as a word)
    """Another program, which opens the reader for itself alone."""

    program = """if True:
        import sys
        from smartcard import scard
        _, context = scard.SCardEstablishContext(0)
        code, card, _ = scard.SCardConnect(context, sys.argv[1], 1, 3)
        print(code, flush=True)
        sys.stdin.read()
        scard.SCardDisconnect(card, 0)
        scard.SCardReleaseContext(context)
    """

    def __init__(self, name: str) -> None:
        self._process = talk([sys.executable, "-c", self.program, name])

    def __enter__(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "0\n"

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=120)


def talk(line: list[str], **environment: str) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen(line, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=os.environ | environment)


def test_a_card_that_dies_in_mid_command_leaves_the_outcome_unknown(slot: PcscSlot) -> None:
    with pytest.raises(OutcomeUnknownError, match="put the card in again"):
        slot.connect().transmit(DIE)
    assert slot.wait_for_card(present=False, seconds=SECONDS)


def test_a_card_that_is_taken_out_between_commands_is_told(
    reader: VirtualReader, slot: PcscSlot, images: list[Path]
) -> None:
    connection = slot.connect()
    reader.eject(1)
    assert slot.wait_for_card(present=False, seconds=SECONDS)
    with pytest.raises(CardRemovedError, match="put it in again"):
        connection.transmit(HELLO)
    reader.insert(1, images[1])
    assert slot.wait_for_card(seconds=SECONDS)
    with pytest.raises(CardRemovedError):
        connection.transmit(HELLO)
    assert slot.connect().transmit(COUNT) == b"\x01" + OK


def test_waiting_for_a_card_ends_when_the_time_is_over(reader: VirtualReader) -> None:
    assert not PcscSlot(reader.pcscd.readers[1]).wait_for_card(seconds=0.1)


def test_a_reader_that_cannot_eject_powers_the_card_off_and_says_so(slot: PcscSlot) -> None:
    connection = slot.connect()
    connection.transmit(HELLO)
    assert slot.eject() is Ejection.REMOVE_BY_HAND
    with pytest.raises(CardRemovedError, match="let go"):
        connection.transmit(HELLO)


def test_ejecting_what_is_not_there_is_done_already(reader: VirtualReader) -> None:
    assert PcscSlot(reader.pcscd.readers[1]).eject() is Ejection.EJECTED


def test_a_daemon_that_dies_in_use_is_told_apart_and_the_next_one_is_found(
    reader: VirtualReader, slot: PcscSlot
) -> None:
    connection = slot.connect()
    reader.pcscd.stop()
    reader.pcscd.start()
    with pytest.raises(OutcomeUnknownError, match="PC/SC service has stopped or was restarted"):
        connection.transmit(HELLO)
    assert slot.wait_for_card(seconds=SECONDS)
    assert slot.connect().transmit(HELLO) == HELLO + OK


def test_a_card_is_not_held_beyond_its_daemon_and_that_is_told(reader: VirtualReader, slot: PcscSlot) -> None:
    slot.connect()
    reader.pcscd.stop()
    reader.pcscd.start()
    assert slot.wait_for_card(seconds=SECONDS)
    with pytest.raises(PcscUnavailableError, match=r"restarted.*connect"):
        slot.eject()
