"""The CCID reader on its line, first with a driver of the tests, then with pcscd, libccid and programs of others."""

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("termios", reason="the serial reader is for POSIX systems")

from apdu.identity import AID
from applet_model.card import answer_to_reset
from host.model import Protocol
from host.virtual import serial_reader
from host.virtual.ccid import NAK, FrameParser, Message, frame
from host.virtual.parts import find_driver
from host.virtual.serial_reader import SerialReader, SerialSlot
from host.virtual.vpcd import SimulatedCard, VpcdLink, connect
from tests.host.virtual.conftest import WAIT_FOR_CARDS
from tests.host.virtual.echo_card import ATR_T0, ATR_T1, COUNT, EchoCard
from tests.host.virtual.t1_device import T1Device, block
from tests.issuer import Issuer

ROOT = Path(__file__).parents[3]
OK = b"\x90\x00"
STATUS, POWER_ON, POWER_OFF, TRANSFER = 0x65, 0x62, 0x63, 0x6F
ABSENT, INACTIVE, ACTIVE = 2, 1, 0


class Driver:
    """A driver at the other end of the reader's line."""

    def __init__(self, reader: SerialReader) -> None:
        self._line = os.open(reader.device, os.O_RDWR | os.O_NOCTTY)
        self._parser = FrameParser()
        self._number = 0

    def close(self) -> None:
        os.close(self._line)

    def write(self, raw: bytes) -> None:
        os.write(self._line, raw)

    def read(self) -> bytes:
        assert select.select([self._line], [], [], 20)[0]
        return os.read(self._line, 4096)

    def hear(self) -> Message:
        while True:
            for message in self._parser.feed(self.read()):
                assert message is not None
                return message

    def ask(self, kind: int, data: bytes = b"", slot: int = 0) -> Message:
        self._number = (self._number + 1) % 256
        self.write(frame(Message(kind, slot, self._number, data=data)))
        answer = self.hear()
        assert (answer.slot, answer.sequence) == (slot, self._number)
        return answer

    def status(self, slot: int = 0) -> int:
        return self.ask(STATUS, slot=slot).specific[0]

    def transfer(self, data: bytes, slot: int = 0) -> bytes:
        answer = self.ask(TRANSFER, data, slot)
        assert answer.specific[0] == ACTIVE
        return answer.data


class SlowCard(EchoCard):
    """A card that computes until it is told to go on."""

    def __init__(self, atr: bytes) -> None:
        super().__init__(atr)
        self.go_on = threading.Event()

    def transmit(self, command: bytes) -> bytes:
        assert self.go_on.wait(20)
        return super().transmit(command)


@pytest.fixture
def reader() -> Iterator[SerialReader]:
    with SerialReader() as reader:
        yield reader


@pytest.fixture
def driver(reader: SerialReader) -> Iterator[Driver]:
    driver = Driver(reader)
    yield driver
    driver.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that asks for more time at once."""
    monkeypatch.setattr(serial_reader, "_MORE_TIME_SECONDS", 0.02)


@contextmanager
def inserted(slot: SerialSlot, card: SimulatedCard) -> Iterator[socket.socket]:
    """A card in a slot that is taken in at the next look; its connection, to pull it out earlier."""
    with connect(slot.port) as connection:
        served = threading.Thread(target=VpcdLink(connection, card).serve, daemon=True)
        served.start()
        yield connection
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    served.join(20)


def test_a_card_is_taken_in_once_the_slot_was_seen_empty(reader: SerialReader, driver: Driver) -> None:
    with inserted(reader.slots[0], EchoCard()):
        assert [driver.status() for _ in range(2)] == [ABSENT, INACTIVE]
        assert driver.ask(POWER_ON).data == ATR_T1
        assert driver.status() == ACTIVE
        assert not reader.slots[0].empty.is_set()
    with inserted(reader.slots[0], EchoCard(ATR_T0)):
        assert driver.ask(POWER_ON).specific == b"\x42\xfe\x00"
        assert [driver.status() for _ in range(2)] == [ABSENT, INACTIVE]
        assert driver.ask(POWER_ON).data == ATR_T0
        assert driver.status(1) == ABSENT


def power(reader: SerialReader, driver: Driver, slot: int = 0) -> None:
    driver.status(slot)
    assert driver.status(slot) == INACTIVE
    assert driver.ask(POWER_ON, slot=slot).specific[0] == ACTIVE
    assert reader.slots[slot].present()


@pytest.mark.parametrize("size", [0, 27, 28, 250, 251, 255, 2000, 65526])
def test_commands_of_every_length_go_to_the_card_and_back_at_t1(
    reader: SerialReader, driver: Driver, size: int
) -> None:
    command = b"\x80\xe0\x00\x00\x00" + size.to_bytes(2) + bytes(size)
    with inserted(reader.slots[1], EchoCard()):
        power(reader, driver, 1)
        device = T1Device(lambda sent: driver.transfer(sent, 1), 254)
        device.negotiate()
        assert device.exchange(command) == command + OK


def test_two_slots_speak_each_its_protocol(reader: SerialReader, driver: Driver) -> None:
    with inserted(reader.slots[0], EchoCard(ATR_T1)), inserted(reader.slots[1], EchoCard(ATR_T0)):
        power(reader, driver, 0)
        power(reader, driver, 1)
        for _ in range(2):
            driver.ask(POWER_ON)
            assert T1Device(driver.transfer).exchange(COUNT) == b"\x01" + OK
            assert driver.transfer(b"\x80\xe0\x00\x00\x02ab", 1) == b"\x61\x07"
            assert driver.transfer(b"\x00\xc0\x00\x00\x07", 1) == b"\x80\xe0\x00\x00\x02ab" + OK


@pytest.mark.parametrize("command", [b"", b"\x04", bytes(65536)])
def test_bytes_that_the_cards_wire_cannot_carry_are_declined_by_length(
    reader: SerialReader, driver: Driver, command: bytes
) -> None:
    with inserted(reader.slots[0], EchoCard()):
        power(reader, driver)
        device = T1Device(driver.transfer)
        assert device.exchange(command) == b"\x67\x00"
        assert device.exchange(COUNT) == b"\x01" + OK


@pytest.mark.usefixtures("impatient")
def test_a_card_that_computes_asks_for_more_time_at_t1(reader: SerialReader, driver: Driver) -> None:
    card = SlowCard(ATR_T1)
    with inserted(reader.slots[0], card):
        power(reader, driver)
        for _ in range(3):
            assert driver.transfer(block(0, COUNT)) == block(0xC3, b"\x01")
        assert driver.transfer(block(0xE3, b"\x01")) == block(0xC3, b"\x01")
        card.go_on.set()
        device_waits = driver.transfer(block(0xE3, b"\x01"))
        while device_waits == block(0xC3, b"\x01"):
            device_waits = driver.transfer(block(0xE3, b"\x01"))
        assert device_waits == block(0, b"\x01" + OK)


@pytest.mark.usefixtures("impatient")
def test_a_card_that_computes_asks_for_more_time_at_t0(reader: SerialReader, driver: Driver) -> None:
    card = SlowCard(ATR_T0)
    with inserted(reader.slots[0], card):
        power(reader, driver)
        for _ in range(2):
            answer = driver.ask(TRANSFER, b"\x80\xe0\x00\x00\x01a")
            assert answer.specific == b"\x80\x01\x00"
            card.go_on.set()
            while answer.specific[0] == 0x80:
                answer = driver.hear()
            assert answer.data == b"\x61\x06"
            card.go_on.clear()


@pytest.mark.usefixtures("impatient")
def test_the_answer_to_a_command_that_was_given_up_is_not_taken_for_the_next_ones(
    reader: SerialReader, driver: Driver
) -> None:
    card = SlowCard(ATR_T1)
    with inserted(reader.slots[0], card):
        power(reader, driver)
        assert driver.transfer(block(0, COUNT)) == block(0xC3, b"\x01")
        assert driver.transfer(block(0xC0)) == block(0xE0)
        card.go_on.set()
        assert T1Device(driver.transfer).exchange(b"\x80\xe0\x00\x00") == b"\x80\xe0\x00\x00" + OK


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("atr", [ATR_T1, ATR_T0])
def test_a_card_that_is_pulled_out_in_the_middle_of_a_command_is_absent(
    reader: SerialReader, driver: Driver, atr: bytes
) -> None:
    card = SlowCard(atr)
    with inserted(reader.slots[0], card) as connection:
        power(reader, driver)
        answer = driver.ask(TRANSFER, block(0, COUNT) if atr == ATR_T1 else COUNT)
        assert answer.specific[0] == 0x80 or answer.data == block(0xC3, b"\x01")
        connection.shutdown(socket.SHUT_RDWR)
        if atr == ATR_T1:
            answer = driver.ask(TRANSFER, block(0xE3, b"\x01"))
        while answer.specific[0] == 0x80:
            answer = driver.hear()
        assert answer.specific == b"\x42\xfe\x00"
        assert driver.status() == ABSENT
        card.go_on.set()


class MuteCard(EchoCard):
    """A card that gives no ATR in time, the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def power_on(self) -> bytes:
        assert self.go_on.wait(20)
        return super().power_on()

    reset = power_on


def test_a_card_without_an_atr_is_mute_and_its_late_atr_is_not_taken_for_an_answer(
    reader: SerialReader, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = MuteCard()
    with inserted(reader.slots[0], card):
        driver.status()
        assert driver.status() == INACTIVE
        with monkeypatch.context() as patch:
            patch.setattr(serial_reader, "_ATR_SECONDS", 0.05)
            assert driver.ask(POWER_ON).specific == b"\x41\xfe\x00"
        card.go_on.set()
        assert driver.ask(POWER_ON).data == ATR_T1
        assert T1Device(driver.transfer).exchange(COUNT) == b"\x01" + OK


def test_a_damaged_frame_is_asked_for_again(driver: Driver) -> None:
    good = frame(Message(STATUS, 0, 1))
    driver.write(good[:-1] + bytes((good[-1] ^ 1,)))
    assert driver.read() == NAK
    assert driver.status() == ABSENT


@pytest.mark.parametrize(
    ("atr", "is_t1"),
    [
        ("3B00", False),
        ("3B8001", True),
        ("3B8000", False),
        ("3B901101", True),
        ("3BF011000001", True),
        ("3B7011", False),
    ],
)
def test_the_atr_says_which_protocol_is_spoken(reader: SerialReader, driver: Driver, atr: str, is_t1: bool) -> None:
    with inserted(reader.slots[0], EchoCard(bytes.fromhex(atr))):
        power(reader, driver)
        answer = driver.ask(TRANSFER, block(0xC1, b"\xfe"))
        assert (answer.data == block(0xE1, b"\xfe")) == is_t1


# --- behind pcscd and libccid ------------------------------------------------------------------------------

ISSUER = Issuer()
RUN = "from host.reader_cli import app; app(prog_name='saifu reader')"
TRANSFER_MONEY = f"""{WAIT_FOR_CARDS}
if True:
    from host.session import PurseSession
    from host.terminal.transfer import transfer
    from tests.issuer import NOW
    slots = [PcscSlot(reader.name) for reader in list_readers()]
    payer, payee = (PurseSession(slot.connect()) for slot in slots)
    assert transfer(payer, payee, 1_250, NOW, lambda _: b"").settled
    print([session.select().status.balance for session in (payer, payee)])
"""
needs_libccid = pytest.mark.skipif(find_driver("serial/libccidtwin.so") is None, reason="needs libccid")


@pytest.fixture(params=[Protocol.T1, Protocol.T0], ids=["T1", "T0"])
def protocol(request: pytest.FixtureRequest) -> Protocol:
    assert isinstance(request.param, Protocol)
    return request.param


@pytest.fixture
def running(
    purses: list[Path], protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> Iterator["subprocess.Popen[str]"]:
    """``saifu reader run --driver ccid`` with both purses, as this shell knows it."""
    line = [sys.executable, "-c", RUN, "run", "--driver", "ccid", "--protocol", protocol.value, "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen([*line, *map(str, purses)], cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        monkeypatch.setenv("PCSCLITE_CSOCK_NAME", json.loads(process.stdout.readline())["socket"])
        yield process
        process.terminate()
        process.communicate(timeout=120)


def program(*line: str) -> str:
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.pcsc
@needs_libccid
def test_programs_of_others_reach_the_purses(running: "subprocess.Popen[str]", protocol: Protocol) -> None:
    program(sys.executable, "-c", WAIT_FOR_CARDS)
    seen = re.sub(r"\x1b\[[0-9;]*m", "", program("pcsc_scan", "-c"))
    assert seen.count(answer_to_reset(protocol).hex(" ").upper()) == 2
    select_purse = f"00:A4:04:00:{len(AID):02X}:{AID.hex(':').upper()}"
    said = program("opensc-tool", "-r", "1", "--card-driver", "default", "-s", select_purse, "-s", "00:CA:01:00:00")
    assert said.count("SW1=0x90, SW2=0x00") == 2
    data = bytes.fromhex("".join(re.findall(r"^((?:[0-9A-F]{2} )+)", said, re.MULTILINE)))
    assert bytes(ISSUER.id(2)) in data
    assert running.poll() is None


@pytest.mark.pcsc
@needs_libccid
def test_money_goes_from_slot_to_slot_and_cards_move(running: "subprocess.Popen[str]", purses: list[Path]) -> None:
    assert program(sys.executable, "-c", TRANSFER_MONEY) == "[8750, 1250]\n"
    for order, left in (("eject", [None, str(purses[1])]), ("insert", [str(purses[0]), str(purses[1])])):
        image = [str(purses[0])] if order == "insert" else []
        slots = json.loads(program(sys.executable, "-c", RUN, order, "1", *image, "--json"))["slots"]
        assert [slot["image"] for slot in slots] == left
    assert program(sys.executable, "-c", TRANSFER_MONEY) == "[7500, 2500]\n"
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    assert not Path(os.environ["PCSCLITE_CSOCK_NAME"]).parent.exists()
