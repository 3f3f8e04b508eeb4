"""Recording: real payments and a real personalization are written, without PINs, and a crash loses nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import Thread

import pytest

from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.dgi import Dgi, encode_dgi
from apdu.errors import CardRemovedError, InputError, NoCardError, OutcomeUnknownError, StoreError
from apdu.trace import own
from apdu.trace.model import Exchange, Item, Remark, Reset
from applet_model.card import answer_to_reset
from applet_model.memory import Cut
from host.connection import Ejection
from host.issuer_session import IssuerData, IssuerSession
from host.model import ModelSlot, Protocol, memory_card
from host.recording import RecordingConnection, RecordingSlot, TraceFile
from host.secure_connection import SecureConnection
from host.session import PurseSession, pin_block
from host.terminal.transfer import transfer
from tests.host.script import Script
from tests.issuer import CHIP, NOW, PIN, PUK, STATIC, Issuer

ROOT = Path(__file__).resolve().parents[2]
ISSUER = Issuer()
PROGRAM = "saifu 0.1.0"
NEW_PIN = pin_block("778899")
OK = b"\x90\x00"


def read(path: Path) -> list[Item]:
    with path.open("rb") as lines:
        return list(own.decode(lines))


def exchanges(path: Path, slot: str | None = None) -> list[Exchange]:
    return [item for item in read(path) if isinstance(item, Exchange) and slot in (None, item.slot)]


def ticking() -> Callable[[], float]:
    numbers = count(NOW)
    return lambda: float(next(numbers))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trace"


# --- what is written ------------------------------------------------------------------------------------------


def test_a_payment_is_recorded_as_it_was(path: Path) -> None:
    giver, payer, payee = ISSUER.purse(3, initial=50_000), ISSUER.purse(1), ISSUER.purse(2)
    transfer(PurseSession(giver), PurseSession(payer), 9000, NOW, lambda _: PIN)
    with TraceFile(path, PROGRAM) as trace:
        one, other = RecordingSlot(payer, trace), RecordingSlot(payee, trace)
        transfer(PurseSession(one.connect()), PurseSession(other.connect()), 6000, NOW, lambda _: PIN)
    paid, received = exchanges(path, payer.name), exchanges(path, payee.name)
    assert [said.command[1] for said in paid] == [Ins.SELECT, Ins.PAY, Ins.VERIFY, Ins.PAY, Ins.SETTLE]
    assert [said.response[-2:].hex() for said in paid if said.response] == ["9000", "6982", "9000", "9000", "9000"]
    assert [said.command[1] for said in received] == [Ins.SELECT, Ins.REQUEST, Ins.RECEIVE]
    assert [item.slot for item in read(path) if isinstance(item, Reset)] == [payer.name, payee.name]


def test_times_come_from_the_clocks(path: Path) -> None:
    with TraceFile(path, PROGRAM) as trace:
        slot = RecordingSlot(ISSUER.purse(1), trace, clock=ticking(), timer=ticking())
        connection = slot.connect()
        for _ in range(2):
            connection.transmit(b"\x00\xca\x01\x00\x00")
    reset, first, second = read(path)
    assert isinstance(first, Exchange)
    assert [item.time for item in (reset, first, second)] == [NOW, NOW + 1, NOW + 2]
    assert first.seconds == 1.0


def test_the_answer_to_reset_is_written_where_it_is_known(path: Path) -> None:
    with TraceFile(path, PROGRAM) as trace:
        for protocol in (Protocol.T1, Protocol.T0):
            slot = RecordingSlot(ModelSlot("slot", memory_card(CHIP, protocol=protocol)), trace, clock=ticking())
            assert slot.connect().atr == answer_to_reset(protocol)
            assert slot.protocol is protocol
        assert RecordingConnection(Script(OK), trace).atr == b""
    assert read(path) == [Reset(answer_to_reset(protocol), "slot", NOW) for protocol in (Protocol.T1, Protocol.T0)]


def test_a_slot_stays_a_slot(path: Path) -> None:
    with TraceFile(path, PROGRAM) as trace:
        slot = RecordingSlot(ISSUER.purse(1), trace, clock=ticking())
        assert PurseSession(slot.connect()).selected.status.balance == 0
        slot.close()
        assert slot.eject() is Ejection.EJECTED
        with pytest.raises(NoCardError):
            slot.connect()
    ejected, failed = read(path)[-2:]
    assert (ejected, failed.slot) == (Remark("the card is ejected", "card 1", ejected.time), "card 1")
    assert isinstance(failed, Remark)
    assert failed.text.startswith("no card: card 1")


# --- secrets --------------------------------------------------------------------------------------------------


def test_no_pin_reaches_the_file(path: Path) -> None:
    with TraceFile(path, PROGRAM) as trace:
        session = PurseSession(RecordingSlot(ISSUER.purse(1), trace).connect())
        session.verify(PIN)
        session.change_reference_data(PIN, NEW_PIN)
        session.reset_retry_counter(PUK, PIN)
    text = path.read_text("ascii")
    assert not any(secret.hex().upper() in text for secret in (PIN, NEW_PIN, PUK))
    assert [said.redacted for said in exchanges(path)[1:]] == [
        (("command", 5, 5 + size),) for size in (len(PIN), len(PIN + NEW_PIN), len(PUK + PIN))
    ]


def test_pins_are_kept_only_on_demand(path: Path) -> None:
    with TraceFile(path, PROGRAM) as trace:
        PurseSession(RecordingSlot(ISSUER.purse(1), trace, secrets=True).connect()).verify(PIN)
    assert exchanges(path)[-1].command.endswith(PIN)


def test_a_personalization_is_recorded_as_it_was_encrypted(path: Path) -> None:
    data = IssuerData(ISSUER.parameters(1), ISSUER.keys, PIN, PUK)
    with TraceFile(path, PROGRAM) as trace:
        slot = RecordingSlot(ModelSlot("issuer", memory_card(CHIP)), trace)
        session = IssuerSession(slot.connect(), lambda _: STATIC)
        session.personalize(data, lambda point: (ISSUER.certificate(1, point), ISSUER.credit(1, 1)))
    stored = [said for said in exchanges(path) if said.command[1] == Ins.STORE_DATA]
    assert len(stored) == 6
    assert not any(said.redacted for said in stored)
    assert not any(secret.hex().upper() in path.read_text("ascii") for secret in (PIN, PUK))


def test_a_pin_under_a_channel_with_macs_alone_is_blanked(path: Path) -> None:
    with TraceFile(path, PROGRAM) as trace:
        connection = RecordingSlot(ModelSlot("issuer", memory_card(CHIP)), trace).connect()
        PurseSession(connection)
        channel = SecureConnection.open(connection, lambda _: STATIC, 0x01)
        group = encode_dgi(Dgi.REFERENCE_DATA, PIN + PUK)
        channel.transmit(CommandApdu(0x80, Ins.STORE_DATA, 0x08, 0, group).encode())
    assert exchanges(path)[-1].redacted == (("command", 8, 24),)
    assert not any(secret.hex().upper() in path.read_text("ascii") for secret in (PIN, PUK))


# --- when something goes wrong --------------------------------------------------------------------------------


def test_a_command_whose_answer_was_lost_is_there_with_the_reason(path: Path) -> None:
    card = memory_card(CHIP)
    ISSUER.personalize(card, ISSUER.parameters(1))
    with TraceFile(path, PROGRAM) as trace:
        slot = RecordingSlot(ModelSlot("slot", card), trace)
        session = PurseSession(slot.connect())
        card.tear(0, Cut.HALF)
        with pytest.raises(OutcomeUnknownError):
            session.request(100, ISSUER.id(2), NOW)
    *_, lost, why = read(path)
    assert isinstance(lost, Exchange)
    assert (lost.command[1], lost.response) == (Ins.REQUEST, None)
    assert isinstance(why, Remark)
    assert why.text.startswith("no answer: slot: ")


class Interrupted:
    """A connection in which the user's patience ends."""

    def transmit(self, command: bytes) -> bytes:
        del command
        raise KeyboardInterrupt


def test_an_interruption_is_written_by_its_name(path: Path) -> None:
    with TraceFile(path, PROGRAM) as trace, pytest.raises(KeyboardInterrupt):
        RecordingConnection(Interrupted(), trace).transmit(b"\x00\x20\x00\x81\x08" + PIN)
    lost, why = read(path)
    assert isinstance(lost, Exchange)
    assert lost.command == b"\x00\x20\x00\x81\x08" + bytes(8)
    assert why == Remark("no answer: KeyboardInterrupt")


KILLED = """
import os, signal, sys
from pathlib import Path
from host.recording import RecordingConnection, TraceFile
class Card:
    def transmit(self, command):
        if command[1] == 0x32:
            os.kill(os.getpid(), signal.SIGKILL)
        return bytes.fromhex("9000")
connection = RecordingConnection(Card(), TraceFile(Path(sys.argv[1]), "killed", sync=True), "slot")
for ins in (0xA4, 0x30, 0x32):
    connection.transmit(bytes((0x80, ins, 0, 0)))
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is of POSIX systems")
def test_a_program_that_is_killed_in_an_exchange_leaves_it_in_the_trace(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    said = exchanges(path)
    assert [(one.command[1], one.response) for one in said] == [(0xA4, OK), (0x30, OK), (0x32, None)]
    with TraceFile(path, PROGRAM) as trace:
        RecordingConnection(Script(OK), trace, "slot").transmit(b"\x80\x34\x00\x00")
    assert [(one.command[1], one.response) for one in exchanges(path)[2:]] == [(0x32, None), (0x34, OK)]


def test_the_command_is_in_the_file_before_the_card_has_it_and_the_answer_before_the_program(path: Path) -> None:
    seen: list[list[Item]] = []

    class Watching:
        def transmit(self, command: bytes) -> bytes:
            del command
            seen.append(read(path))
            return OK

    trace = TraceFile(path, PROGRAM)
    RecordingConnection(Watching(), trace, clock=ticking()).transmit(b"\x00\xa4\x04\x00")
    assert seen == [[Exchange(b"\x00\xa4\x04\x00", None, time=NOW)]]
    assert exchanges(path)[0].response == OK
    trace.close()


# --- the file -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX systems")
def test_a_trace_is_its_owners_alone(path: Path) -> None:
    TraceFile(path, PROGRAM).close()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("tail", ["", '{"sent": "00'])
def test_a_trace_goes_on_in_its_file(path: Path, tail: str) -> None:
    with TraceFile(path, PROGRAM) as trace:
        trace.write(Remark("first"))
    with path.open("a", encoding="ascii") as file:
        file.write(tail)
    with TraceFile(path, PROGRAM) as trace:
        trace.write(Remark("second"))
    items = read(path)
    assert (items[0], items[-1], len(items)) == (Remark("first"), Remark("second"), 3 if tail else 2)


@pytest.mark.parametrize("content", ["# cardpeek trace file\n", "\n", '{"format": "saifu trace 2"}\n', "\0"])
def test_a_file_of_another_kind_is_left_alone(path: Path, content: str) -> None:
    path.write_text(content, "ascii")
    with pytest.raises(InputError, match="give another name"):
        TraceFile(path, PROGRAM)
    assert path.read_text("ascii") == content


def test_a_file_that_cannot_be_made_is_told_before_any_card_is_touched(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "missing" / "trace"):
        with pytest.raises(StoreError, match="cannot be written"):
            TraceFile(place, PROGRAM)


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_told_at_once() -> None:
    with pytest.raises(StoreError, match="the trace ends before the business did"):
        TraceFile(FULL, PROGRAM)


@pytest.mark.skipif(os.name != "posix", reason="a pipe that breaks is of POSIX systems")
def test_a_trace_that_cannot_go_on_does_not_stop_the_business(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def read_the_header() -> None:
        with pipe.open("rb") as file:
            file.readline()

    reader = Thread(target=read_the_header)
    reader.start()
    trace = TraceFile(pipe, PROGRAM)
    reader.join()
    connection = RecordingConnection(Script(OK), trace)
    assert [connection.transmit(b"\x00\xa4\x04\x00") for _ in range(3)] == [OK] * 3
    again = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    connection.transmit(b"\x00\xa4\x04\x00")
    with pytest.raises(BlockingIOError):  # a line behind a gap would not be the trace of what happened
        os.read(again, 1)
    os.close(again)
    with pytest.raises(StoreError, match="the trace ends before the business did"):
        trace.close()


def test_an_error_of_the_business_is_not_replaced_by_one_of_the_trace(tmp_path: Path) -> None:
    with pytest.raises(CardRemovedError), TraceFile(tmp_path / "trace", PROGRAM):
        raise CardRemovedError("out")


def test_threads_write_whole_lines(path: Path) -> None:
    def talk(slot: str, trace: TraceFile) -> None:
        connection = RecordingConnection(Script(OK), trace, slot)
        for number in range(50):
            connection.transmit(bytes((0x80, 0xCA, 0, number)))

    with TraceFile(path, PROGRAM) as trace:
        threads = [Thread(target=talk, args=(slot, trace)) for slot in ("left", "right")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for slot in ("left", "right"):
        assert [(said.command[3], said.response) for said in exchanges(path, slot)] == [(n, OK) for n in range(50)]
