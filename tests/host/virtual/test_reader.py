"""Putting cards into the virtual reader and taking them out; other programs at those cards."""

import re
import subprocess
from pathlib import Path

import pytest

from apdu.errors import InputError
from host.pcsc import PcscSlot
from host.virtual.cards import CardProcess
from host.virtual.reader import VirtualReader
from tests.host.virtual.conftest import atr_file
from tests.host.virtual.echo_card import ATR_T1, COUNT, PROGRAM

pytestmark = pytest.mark.pcsc


def images_in(reader: VirtualReader) -> list[Path | None]:
    return [content.image for content in reader.slots]


def test_cards_go_in_and_come_out(reader: VirtualReader, images: list[Path]) -> None:
    reader.insert(1, images[0])
    reader.insert(2, images[1])
    assert images_in(reader) == images
    reader.eject(1)
    assert images_in(reader) == [None, images[1]]


def test_a_slot_takes_one_card_and_a_card_is_in_one_slot(reader: VirtualReader, images: list[Path]) -> None:
    reader.insert(1, images[0])
    with pytest.raises(InputError, match=r"slot 1 holds .*echo1: eject it first"):
        reader.insert(1, images[1])
    with pytest.raises(InputError, match="one place only"):
        reader.insert(2, images[0])


def test_an_image_whose_name_looks_like_an_option_is_an_image(
    reader: VirtualReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    image = atr_file(Path("--help"), ATR_T1)
    reader.insert(1, image)
    assert images_in(reader) == [image, None]


@pytest.mark.parametrize("slot", [0, 3])
def test_there_are_two_slots(reader: VirtualReader, images: list[Path], slot: int) -> None:
    with pytest.raises(InputError, match=f"no slot {slot}"):
        reader.insert(slot, images[0])


def test_an_empty_slot_has_nothing_to_eject(reader: VirtualReader) -> None:
    with pytest.raises(InputError, match="slot 2 is empty"):
        reader.eject(2)


def test_a_card_whose_process_was_killed_is_out_and_can_come_back(reader: VirtualReader, images: list[Path]) -> None:
    reader.insert(1, images[0]).kill()
    assert images_in(reader) == [None, None]
    reader.insert(1, images[0])
    assert images_in(reader) == [images[0], None]


def test_a_card_without_quick_acknowledgements_says_the_same(reader: VirtualReader, images: list[Path]) -> None:
    slow = CardProcess(images[0], reader.pcscd.ports[0], (*PROGRAM, "--no-quick-ack"))
    slow.wait_until_inserted()
    slot = PcscSlot(reader.pcscd.readers[0])
    assert slot.wait_for_card(seconds=10)
    assert slot.connect().transmit(COUNT) == b"\x01\x90\x00"
    slot.close()
    slow.take_out()
    reader.pcscd.wait_until_empty(1)


def test_opensc_tool_talks_to_the_card(reader: VirtualReader, images: list[Path]) -> None:
    reader.insert(1, images[0])
    assert PcscSlot(reader.pcscd.readers[0]).wait_for_card(seconds=10)
    line = ["opensc-tool", "--reader", "0", "--card-driver", "default", "--send-apdu", "80:E0:00:00:02:CA:FE"]
    said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert "SW1=0x90, SW2=0x00" in said
    assert "80 E0 00 00 02 CA FE" in said


def test_pcsc_scan_shows_the_atr(reader: VirtualReader, images: list[Path]) -> None:
    reader.insert(2, images[0])
    assert PcscSlot(reader.pcscd.readers[1]).wait_for_card(seconds=10)
    said = subprocess.run(["pcsc_scan", "-c"], capture_output=True, text=True, check=False, timeout=60).stdout
    assert ATR_T1.hex(" ").upper() in re.sub(r"\x1b\[[0-9;]*m", "", said)
