"""The purse behind a real pcscd: programs that we did not write talk to it, and a remittance goes through it."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from apdu.errors import ReaderError
from apdu.identity import AID
from applet_model.card import Protocol, answer_to_reset
from host.pcsc import PcscSlot
from host.session import PurseSession
from host.terminal.transfer import resume, transfer
from host.virtual.cards import CARD_PROGRAM, CardProcess
from host.virtual.reader import VirtualReader
from tests.issuer import NOW, Issuer

pytestmark = pytest.mark.pcsc

ISSUER = Issuer()


@contextmanager
def inserted(reader: VirtualReader, images: list[Path]) -> Iterator[list[CardProcess]]:
    """Both purses in their slots, whatever program the reader starts by itself."""
    pairs = zip(images, reader.pcscd.ports, strict=True)
    cards = [CardProcess(image, port, CARD_PROGRAM) for image, port in pairs]
    try:
        for card, name in zip(cards, reader.pcscd.readers, strict=True):
            card.wait_until_inserted()
            assert PcscSlot(name).wait_for_card(seconds=10)
        yield cards
    finally:
        for number, card in enumerate(cards, 1):
            card.take_out()
            reader.pcscd.wait_until_empty(number)


def sessions(reader: VirtualReader) -> list[PurseSession]:
    return [PurseSession(PcscSlot(name).connect()) for name in reader.pcscd.readers]


def test_opensc_tool_selects_the_purse_and_reads_its_status(reader: VirtualReader, purses: list[Path]) -> None:
    select = f"00:A4:04:00:{len(AID):02X}:{AID.hex(':').upper()}:00"
    line = ["opensc-tool", "--reader", "0", "--card-driver", "default", "-s", select, "-s", "00:CA:01:00:00"]
    with inserted(reader, purses):
        said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert said.count("SW1=0x90, SW2=0x00") == 2
    data = bytes.fromhex("".join(re.findall(r"^((?:[0-9A-F]{2} )+)", said, re.MULTILINE)))
    assert data.count(ISSUER.id(1)) == 2
    assert data.count((10_000).to_bytes(4)) == 2


def test_opensc_tool_selects_the_purse_without_a_name(reader: VirtualReader, purses: list[Path]) -> None:
    line = ["opensc-tool", "--reader", "0", "--card-driver", "default", "--send-apdu", "00:A4:04:00:00"]
    with inserted(reader, purses):
        said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert "SW1=0x90, SW2=0x00" in said
    assert AID.hex(" ").upper() in said


def test_pcsc_scan_shows_the_purses_atr(reader: VirtualReader, purses: list[Path]) -> None:
    with inserted(reader, purses):
        said = subprocess.run(["pcsc_scan", "-c"], capture_output=True, text=True, check=False, timeout=60).stdout
    assert answer_to_reset(Protocol.T1).hex(" ").upper() in re.sub(r"\x1b\[[0-9;]*m", "", said)


def test_money_goes_from_slot_to_slot(reader: VirtualReader, purses: list[Path]) -> None:
    with inserted(reader, purses):
        payer, payee = sessions(reader)
        assert transfer(payer, payee, 1_250, NOW, lambda _: b"").settled
        assert [session.select().status.balance for session in (payer, payee)] == [8_750, 1_250]


def test_a_card_killed_in_mid_transfer_is_resumed(reader: VirtualReader, purses: list[Path]) -> None:
    with inserted(reader, purses) as cards:
        payer, payee = sessions(reader)
        paid = payer.pay(payee.request(500, payer.card, NOW), NOW)
        cards[1].kill()
        with pytest.raises(ReaderError):
            payee.receive(paid, NOW)
    with inserted(reader, purses):
        payer, payee = sessions(reader)
        assert [torn.credited for torn in resume(payer, payee, NOW)] == [True]
        assert [session.select().status.balance for session in (payer, payee)] == [9_500, 500]
