"""A virtual reader with ``--trace``: what programs that we did not write say to its cards is recorded, without PINs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from apdu.commands import PIN_REFERENCE
from apdu.identity import AID
from apdu.trace import own
from apdu.trace.model import Exchange, Item, Remark, Reset
from host.recording import TraceFile
from host.virtual.recorded_card import RecordedCard
from tests.host.virtual.conftest import WAIT_FOR_CARDS
from tests.issuer import PIN

ROOT = Path(__file__).parents[3]
OK, ATR = b"\x90\x00", b"\x3b\x80\x01\x81"
GET_DATA, VERIFY = bytes.fromhex("00CA010000"), bytes((0x00, 0x20, 0x00, PIN_REFERENCE, len(PIN))) + PIN


def read(path: Path) -> list[Item]:
    with path.open("rb") as lines:
        return list(own.decode(lines))


class Chip:
    """A card that answers 9000, and breaks at GET DATA."""

    power_on = reset = lambda _: ATR

    def power_off(self) -> None:
        pass

    def transmit(self, command: bytes) -> bytes:
        if command == GET_DATA:
            raise ConnectionAbortedError("out")
        return OK


def test_resets_commands_and_a_missing_answer_are_written_and_the_pin_is_not(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    with TraceFile(path, "test") as whole, TraceFile(path, "") as trace:
        card = RecordedCard(Chip(), trace, "slot 1")
        assert card.power_on() == ATR
        assert card.transmit(VERIFY) == OK
        with pytest.raises(ConnectionAbortedError):
            card.transmit(GET_DATA)
        assert card.reset() == ATR
        card.power_off()
        whole.write(Remark("the end"))
    first, verify, lost, why, second, end = read(path)
    assert isinstance(first, Reset)
    assert isinstance(second, Reset)
    assert {(each.atr, each.slot) for each in (first, second)} == {(ATR, "slot 1")}
    assert isinstance(verify, Exchange)
    assert verify.command == VERIFY[:5] + bytes(len(PIN))
    assert isinstance(lost, Exchange)
    assert (lost.command, lost.response) == (GET_DATA, None)
    assert [why, end] == [Remark("no answer: out", "slot 1"), Remark("the end")]


@pytest.mark.pcsc
def test_what_opensc_tool_says_to_both_cards_is_in_the_trace(purses: list[Path], tmp_path: Path) -> None:
    path, pipe = tmp_path / "trace", subprocess.PIPE
    line = [sys.executable, "-m", "saifu", "--trace", "trace", "reader", "run", *map(str, purses), "--json"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(line, cwd=tmp_path, env=env, stdout=pipe, stderr=pipe, text=True) as running:
        assert running.stdout is not None
        env |= {"PCSCLITE_CSOCK_NAME": json.loads(running.stdout.readline())["socket"]}
        subprocess.run([sys.executable, "-c", WAIT_FOR_CARDS], cwd=ROOT, env=env, check=True, timeout=60)
        for number in ("0", "1"):
            tool = ["opensc-tool", "--reader", number, "--card-driver", "default"]
            for command in (b"\x00\xa4\x04\x00" + bytes((len(AID),)) + AID + b"\x00", VERIFY):
                tool += ["-s", command.hex(":")]
            subprocess.run(tool, env=env, check=True, capture_output=True, timeout=60)
        running.terminate()
        running.communicate(timeout=120)
    items = read(path)
    for slot in ("saifu virtual reader 00 00", "saifu virtual reader 00 01"):
        said = [item for item in items if isinstance(item, Exchange) and item.slot == slot]
        assert [item.command[:4].hex() for item in said] == ["00a40400", "00200081"]
        assert [(item.response or b"")[-2:] for item in said] == [OK, OK]
        assert any(isinstance(item, Reset) and item.slot == slot and item.atr for item in items)
    assert PIN.hex().upper() not in path.read_text()
